//! Query parameters, for dialects that know a few and pass over the rest, as the servers do that
//! they imitate.

use remex_model::{Consistency, Error, ErrorCode};

use super::percent::{Plus, decode};

/// The text of the first parameter of this name.
///
/// # Errors
/// If it cannot be decoded, or is not UTF-8.
pub(crate) fn parameter(query: Option<&str>, name: &str) -> Result<Option<String>, Error> {
    let pairs = query.unwrap_or_default().split('&');
    for (key, value) in pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))) {
        if !matches!(decode(key, Plus::Space), Ok(key) if *key == *name.as_bytes()) {
            continue;
        }
        let value = decode(value, Plus::Space)?.into_owned();
        return String::from_utf8(value).map(Some).map_err(|error| {
            let position = error.utf8_error().valid_up_to();
            let detail = format!("the parameter `{name}` is not UTF-8 from byte {position} on");
            Error::new(ErrorCode::BadRequest, detail)
        });
    }
    Ok(None)
}

/// How fresh a read must be in a dialect that reads this node's own copy, unless it is asked for
/// more with the parameter `consistency`, which Remex adds to it.
pub(crate) fn consistency(query: Option<&str>) -> Result<Consistency, Error> {
    match parameter(query, "consistency")?.as_deref() {
        None | Some("stale") => Ok(Consistency::Stale),
        Some("linearizable") => Ok(Consistency::Linearizable),
        Some(other) => {
            let detail =
                format!("`consistency` is `{other}`; it must be `linearizable` or `stale`");
            Err(Error::new(ErrorCode::BadRequest, detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_name_counts_and_others_are_passed_over() {
        let query = Some("a=%zz&k%65y=1+2%2B&key=3&empty=&bare");
        let of = |name| parameter(query, name);
        assert_eq!(of("key").unwrap().as_deref(), Some("1 2+"));
        assert_eq!(of("empty").unwrap().as_deref(), Some(""));
        assert_eq!(of("bare").unwrap().as_deref(), Some(""));
        assert_eq!(of("other").unwrap(), None);
        assert_eq!(of("a").unwrap_err().code, ErrorCode::BadRequest);
        assert_eq!(parameter(Some("a=%ff"), "a").unwrap_err().code, ErrorCode::BadRequest);
        assert_eq!(parameter(None, "a").unwrap(), None);
    }

    #[test]
    fn a_read_is_local_unless_more_is_asked_for() {
        for (query, wanted) in [
            (None, Consistency::Stale),
            (Some("consistency=stale"), Consistency::Stale),
            (Some("key=a&consistency=linearizable"), Consistency::Linearizable),
        ] {
            assert_eq!(consistency(query).unwrap(), wanted);
        }
        assert_eq!(
            consistency(Some("consistency=strong")).unwrap_err().code,
            ErrorCode::BadRequest
        );
    }
}
