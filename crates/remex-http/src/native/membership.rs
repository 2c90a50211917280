//! What a request says about members, in the model's terms; pure and tested without a server.
#![warn(clippy::wildcard_enum_match_arm, clippy::indexing_slicing)]

use remex_model::{ClusterView, Error, ErrorCode, MemberRole, MemberStep, MemberView};

use super::wire::AddMemberBody;
use crate::layers::{self, Plus, decode};

/// What stands before a member's name or id in a path.
const MEMBER_PATH: &str = "/v1/cluster/members/";

/// The shape of the body that adds a member.
pub(crate) const ADD_HINT: &str =
    r#"the body is {"peer_url":"10.0.0.4:7481"}, with "name" and "role":"learner" if wanted"#;

/// The name or id of a member in `path`, which goes on with a slash or ends behind it.
pub(crate) fn named(path: &str) -> Result<String, Error> {
    let rest = path.strip_prefix(MEMBER_PATH).unwrap_or_default();
    let coded = rest.split('/').next().unwrap_or_default();
    let name = decode(coded, Plus::Literal)?;
    match std::str::from_utf8(&name) {
        Ok(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err(Error::new(ErrorCode::BadRequest, "the path names no member")
            .hint("name it or its id, as in /v1/cluster/members/n2")),
    }
}

/// The member of an id or, failing that, of a name.
pub(crate) fn find(view: ClusterView, named: &str) -> Result<MemberView, Error> {
    let by_id = view.members.iter().position(|one| named.eq_ignore_ascii_case(&one.id.to_string()));
    let position = by_id.or_else(|| view.members.iter().position(|one| one.name == named));
    let names: Vec<&str> = view.members.iter().map(|one| one.name.as_str()).collect();
    let names = names.join(", ");
    position.and_then(|position| view.members.into_iter().nth(position)).ok_or_else(|| {
        Error::new(ErrorCode::MemberNotFound, format!("the cluster has no member `{named}`"))
            .hint(format!("the members are {names}"))
    })
}

/// The step that a body asks for.
///
/// # Errors
/// If the address cannot be one, or the role is none.
pub(crate) fn add(body: AddMemberBody) -> Result<MemberStep, Error> {
    let role = match body.role.as_deref() {
        None | Some("voter") => MemberRole::Voter,
        Some("learner") => MemberRole::Learner,
        Some(other) => {
            let detail = format!("`role` is `{other}`; it must be `voter` or `learner`");
            return Err(Error::new(ErrorCode::BadRequest, detail).hint(ADD_HINT));
        }
    };
    if body.name.as_deref() == Some("") {
        let detail = "`name` is empty; a member takes the name that its node has if it is left out";
        return Err(Error::new(ErrorCode::BadRequest, detail).hint(ADD_HINT));
    }
    let peer_address =
        layers::peer_address("peer_url", &body.peer_url).map_err(|error| error.hint(ADD_HINT))?;
    Ok(MemberStep::Add { peer_address, name: body.name, role, awaited: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_named_by_one_segment() {
        assert_eq!(named("/v1/cluster/members/n2").unwrap(), "n2");
        assert_eq!(named("/v1/cluster/members/a%2Fb/promote").unwrap(), "a/b");
        for path in ["/v1/cluster/members/", "/v1/cluster/members/%FF", "/v1/cluster/members/%2"] {
            assert_eq!(named(path).unwrap_err().code, ErrorCode::BadRequest, "{path}");
        }
    }

    #[test]
    fn a_new_member_is_to_vote_unless_it_is_to_learn() {
        let body = |role: Option<&str>| AddMemberBody {
            name: Some("n4".to_owned()),
            peer_url: "n4:1".to_owned(),
            role: role.map(str::to_owned),
        };
        let step = |role| MemberStep::Add {
            peer_address: "n4:1".to_owned(),
            name: Some("n4".to_owned()),
            role,
            awaited: false,
        };
        assert_eq!(add(body(None)).unwrap(), step(MemberRole::Voter));
        assert_eq!(add(body(Some("learner"))).unwrap(), step(MemberRole::Learner));
        assert!(add(body(Some("boss"))).unwrap_err().detail.contains("boss"));
        assert!(add(AddMemberBody { name: Some(String::new()), ..body(None) }).is_err());
    }
}
