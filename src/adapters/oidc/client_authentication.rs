/// How our client secret travels (RFC 6749 §2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientAuthentication {
    Basic,
    Post,
}

impl ClientAuthentication {
    /// From `token_endpoint_auth_methods_supported`, which when absent means Basic (OpenID Connect
    /// Discovery 1.0 §3).
    pub(super) fn choose(methods: Option<&[String]>) -> Option<Self> {
        let Some(methods) = methods else {
            return Some(Self::Basic);
        };
        let offered = |name: &str| methods.iter().any(|method| method == name);
        if offered("client_secret_basic") {
            Some(Self::Basic)
        } else {
            offered("client_secret_post").then_some(Self::Post)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_is_chosen_unless_only_post_is_offered() {
        let choose = |methods: &[&str]| {
            ClientAuthentication::choose(Some(&methods.iter().map(ToString::to_string).collect::<Vec<_>>()))
        };
        assert_eq!(ClientAuthentication::choose(None), Some(ClientAuthentication::Basic));
        let both = ["client_secret_post", "client_secret_basic"];
        assert_eq!(choose(&both), Some(ClientAuthentication::Basic));
        assert_eq!(choose(&["private_key_jwt", "client_secret_post"]), Some(ClientAuthentication::Post));
        assert_eq!(choose(&["private_key_jwt"]), None);
    }
}
