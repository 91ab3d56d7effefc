use super::fault::Fault;

/// The parameters of a request, in the order sent.
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Those of the query, then those of the form. What is not UTF-8 is replaced.
    pub fn parse(query: Option<&str>, form: &[u8]) -> Self {
        let query = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let pairs = query.chain(url::form_urlencoded::parse(form));
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    pub fn as_slice(&self) -> &[(String, String)] {
        &self.0
    }

    /// Fails when a parameter is repeated (RFC 6749 §3.1) or is not among `known`.
    pub fn only(&self, known: &[&str]) -> Result<(), Fault> {
        for (position, (name, _)) in self.0.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(Fault::unknown_parameter());
            }
            if self.0[..position].iter().any(|(earlier, _)| earlier == name) {
                return Err(Fault::repeated(name));
            }
        }
        Ok(())
    }

    /// A parameter that was sent, even if it is empty.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// The value of a parameter. An empty one counts as omitted (RFC 6749 §3.1).
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        (!value.is_empty()).then_some(value)
    }

    /// The parts of `scope` (RFC 6749 §3.3). None when there are none.
    pub fn scope(&self) -> Option<Vec<String>> {
        let parts = self.get("scope")?.split(' ').filter(|part| !part.is_empty());
        let parts: Vec<_> = parts.map(str::to_owned).collect();
        (!parts.is_empty()).then_some(parts)
    }

    pub fn required(&self, name: &str) -> Result<&str, Fault> {
        self.get(name).ok_or_else(|| Fault::missing(name))
    }
}
