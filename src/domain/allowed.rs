//! Who may use a resource, as its operator says.

use crate::domain::api_key::KeyId;
use crate::domain::client::ClientId;
use crate::domain::person::Person;

/// The lists of a resource, and whether nobody needs to sign in. One that is empty lets everybody through; each of the others has to be met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// `tid`s.
    pub tenants: Vec<String>,
    /// `oid`s, or whole subjects (`tid:oid`).
    pub users: Vec<String>,
    /// By object id; with another provider than Entra by whatever it lists.
    pub groups: Vec<String>,
    /// Values of app roles.
    pub roles: Vec<String>,
    /// Client ids, or the short hashes by which logs name them, or the host of a metadata document or a redirect URI.
    pub clients: Vec<String>,
    /// Whether API keys open it too.
    pub keys: bool,
}

/// Whose accounts sign in, whatever the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience {
    /// `tid`s. Empty where the identity provider has no tenants.
    pub tenants: Vec<String>,
    /// Whether guests of a tenant do.
    pub guests: bool,
}

impl Audience {
    /// What a person lacks who signed in when more were let in. Who was never asked whether they are a guest is none here:
    /// the identity provider says so at the next refresh.
    #[must_use]
    pub fn lacking(&self, person: &Person) -> Option<Lacking> {
        if !meets(&self.tenants, person.subject.tid()) {
            return Some(Lacking::Tenant);
        }
        (person.guest == Some(true) && !self.guests).then_some(Lacking::Member)
    }
}

/// What somebody lacks that a resource asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacking {
    /// They are a guest of their tenant, and this server is for members.
    Member,
    /// Nobody says whether they are.
    MemberUnknown,
    Tenant,
    User,
    Group,
    /// There are too many to be listed, and nobody tells us, so that nobody knows whether one of them is theirs.
    GroupsUnknown,
    Role,
    Client,
}

impl Lacking {
    /// The setting whose list is not met.
    #[must_use]
    pub fn list(self) -> &'static str {
        match self {
            Self::Tenant => "allowed_tenants",
            Self::User => "allowed_users",
            Self::Group | Self::GroupsUnknown => "allowed_groups",
            Self::Role => "allowed_roles",
            Self::Member | Self::MemberUnknown => "upstream.guests",
            Self::Client => "allowed_clients",
        }
    }
}

impl Allowed {
    /// The first list that this person, with this client, does not meet.
    #[must_use]
    pub fn lacking(&self, person: &Person, client: &ClientId, redirect_host: &str) -> Option<Lacking> {
        if !self.has_client(client, redirect_host) {
            return Some(Lacking::Client);
        }
        let subject = &person.subject;
        if !meets(&self.tenants, subject.tid()) {
            return Some(Lacking::Tenant);
        }
        if !meets(&self.users, [subject.oid(), &subject.sub()]) {
            return Some(Lacking::User);
        }
        if !meets(&self.roles, person.roles.iter().map(String::as_str)) {
            return Some(Lacking::Role);
        }
        match &person.groups {
            _ if self.groups.is_empty() => None,
            None => Some(Lacking::GroupsUnknown),
            Some(groups) if meets(&self.groups, groups.iter().map(String::as_str)) => None,
            Some(_) => Some(Lacking::Group),
        }
    }

    /// The first list that an API key does not meet. It has no tenant, group or role, and those of people and clients
    /// it meets by its name.
    #[must_use]
    pub fn lacking_of_key(&self, id: KeyId) -> Option<Lacking> {
        let name = id.to_string();
        let lists = [
            (&self.clients, Some(name.as_str()), Lacking::Client),
            (&self.tenants, None, Lacking::Tenant),
            (&self.users, Some(&name), Lacking::User),
            (&self.roles, None, Lacking::Role),
            (&self.groups, None, Lacking::Group),
        ];
        lists.into_iter().find(|(list, held, _)| !meets(list, *held)).map(|(_, _, lacking)| lacking)
    }

    /// Whether a client may be used here at all.
    #[must_use]
    pub fn has_client(&self, client: &ClientId, redirect_host: &str) -> bool {
        if self.clients.is_empty() {
            return true;
        }
        let (digest, document_host) = (client.digest(), client.document_host());
        let hosts = [document_host.as_deref(), Some(redirect_host)];
        let is_host =
            |allowed: &String| hosts.iter().flatten().any(|host| host.eq_ignore_ascii_case(allowed));
        meets(&self.clients, [client.as_str(), &digest]) || self.clients.iter().any(is_host)
    }
}

/// Whether one of these is in the list, where there is one.
fn meets<'a>(list: &[String], held: impl IntoIterator<Item = &'a str>) -> bool {
    list.is_empty() || held.into_iter().any(|held| list.iter().any(|allowed| allowed == held))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::person::Subject;

    fn person(roles: &[&str], groups: Option<&[&str]>) -> Person {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        Person {
            subject: Subject::Entra { tid: "t1".to_owned(), oid: "o1".to_owned() },
            name: None,
            preferred_username: None,
            roles: owned(roles),
            groups: groups.map(owned),
            guest: None,
            auth_time: None,
        }
    }

    fn lacking(allowed: &Allowed, person: &Person) -> Option<Lacking> {
        let client = ClientId::named("https://app.example.com/client.json".to_owned());
        allowed.lacking(person, &client, "127.0.0.1")
    }

    fn list(entries: &[&str]) -> Vec<String> {
        entries.iter().map(|&entry| entry.to_owned()).collect()
    }

    #[test]
    fn every_list_that_is_there_has_to_be_met() {
        let ann = person(&["Reader"], Some(&["g1", "g2"]));
        assert_eq!(lacking(&Allowed::default(), &ann), None);
        let all = Allowed {
            tenants: list(&["t0", "t1"]),
            users: list(&["o1"]),
            groups: list(&["g2"]),
            roles: list(&["Reader"]),
            clients: list(&["app.example.com"]),
            keys: false,
        };
        assert_eq!(lacking(&all, &ann), None);
        let unmet = |change: fn(&mut Allowed)| {
            let mut allowed = all.clone();
            change(&mut allowed);
            lacking(&allowed, &ann)
        };
        assert_eq!(unmet(|a| a.tenants = list(&["t0"])), Some(Lacking::Tenant));
        assert_eq!(unmet(|a| a.users = list(&["o2"])), Some(Lacking::User));
        assert_eq!(unmet(|a| a.groups = list(&["g3"])), Some(Lacking::Group));
        assert_eq!(unmet(|a| a.roles = list(&["Writer"])), Some(Lacking::Role));
        assert_eq!(unmet(|a| a.clients = list(&["app.example.org"])), Some(Lacking::Client));
    }

    #[test]
    fn an_audience_that_was_made_smaller_keeps_out_who_is_in() {
        let audience = |tenants: &[&str], guests| Audience { tenants: list(tenants), guests };
        let ann = person(&[], None);
        for (tenants, lacks) in
            [(list(&[]), None), (list(&["t2", "t1"]), None), (list(&["t2"]), Some(Lacking::Tenant))]
        {
            assert_eq!(Audience { tenants, guests: false }.lacking(&ann), lacks);
        }
        let guest = |guest| Person { guest, ..ann.clone() };
        for (said, denied) in [(None, None), (Some(false), None), (Some(true), Some(Lacking::Member))] {
            assert_eq!(audience(&["t1"], false).lacking(&guest(said)), denied);
            assert_eq!(audience(&["t1"], true).lacking(&guest(said)), None);
        }
    }

    #[test]
    fn groups_that_nobody_knows_are_not_met_and_not_called_missing() {
        let many = person(&[], None);
        let allowed = Allowed { groups: list(&["g1"]), ..Allowed::default() };
        assert_eq!(lacking(&allowed, &many), Some(Lacking::GroupsUnknown));
        assert_eq!(lacking(&Allowed::default(), &many), None);
    }

    #[test]
    fn a_person_is_known_by_the_object_or_with_its_tenant_and_a_client_by_three_names() {
        let ann = person(&[], None);
        for users in ["o1", "t1:o1"] {
            assert_eq!(lacking(&Allowed { users: list(&[users]), ..Allowed::default() }, &ann), None);
        }
        let other = Allowed { users: list(&["t2:o1"]), ..Allowed::default() };
        assert_eq!(lacking(&other, &ann), Some(Lacking::User));
        for clients in ["https://app.example.com/client.json", "app.example.com", "127.0.0.1"] {
            assert_eq!(lacking(&Allowed { clients: list(&[clients]), ..Allowed::default() }, &ann), None);
        }
    }

    #[test]
    fn a_key_meets_lists_by_its_name_and_has_nothing_that_people_have() {
        let id = KeyId([0xab; 8]);
        let by_name = list(&["key:abababababababab"]);
        let named = Allowed { users: by_name.clone(), clients: by_name.clone(), ..Allowed::default() };
        assert_eq!((Allowed::default().lacking_of_key(id), named.lacking_of_key(id)), (None, None));
        assert_eq!(named.lacking_of_key(KeyId([1; 8])), Some(Lacking::Client));
        let unmet = |change: fn(&mut Allowed)| {
            let mut allowed = named.clone();
            change(&mut allowed);
            allowed.lacking_of_key(id)
        };
        assert_eq!(unmet(|a| a.users = list(&["o1"])), Some(Lacking::User));
        assert_eq!(unmet(|a| a.tenants = list(&["t1"])), Some(Lacking::Tenant));
        assert_eq!(unmet(|a| a.groups = list(&["key:abababababababab"])), Some(Lacking::Group));
        assert_eq!(unmet(|a| a.roles = list(&["key:abababababababab"])), Some(Lacking::Role));
    }
}
