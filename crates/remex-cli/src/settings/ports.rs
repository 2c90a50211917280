//! Whether addresses that are listened on get into each other's way.

use std::net::{IpAddr, SocketAddr};

use crate::exit::Failure;

/// Checks that no two of these addresses overlap. Each has the setting that names it.
pub(super) fn check(taken: &[(String, SocketAddr)]) -> Result<(), Failure> {
    for (position, (second, address)) in taken.iter().enumerate() {
        let Some((first, other)) =
            taken[..position].iter().find(|(_, other)| overlap(*other, *address))
        else {
            continue;
        };
        let message = match address == other {
            true => format!("{first} and {second} are both {address}"),
            false => format!(
                "{first} and {second} overlap: {other} and {address} have one port, and one of them \
                 stands for the other, too"
            ),
        };
        let remedy = match second == "--peer-listen" {
            true => {
                "choose another port for one of them, or --single-port to serve clients and peers on one"
            }
            false => "choose another port for one of them",
        };
        return Err(Failure::usage(message).remedy(remedy));
    }
    Ok(())
}

/// Whether both cannot be listened on at a time. An unspecified address stands for every address of
/// the machine; that of IPv6 usually for those of IPv4, too. The system chooses a free port for 0.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let covers = |all: IpAddr, one: IpAddr| match all {
        IpAddr::V4(all) => all.is_unspecified() && one.is_ipv4(),
        IpAddr::V6(all) => all.is_unspecified(),
    };
    let (a_ip, b_ip) = (a.ip().to_canonical(), b.ip().to_canonical());
    a.port() == b.port()
        && a.port() != 0
        && (a_ip == b_ip || covers(a_ip, b_ip) || covers(b_ip, a_ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_overlap_with_one_port_only() {
        let overlap = |a: &str, b: &str| {
            let (a, b) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!(super::overlap(a, b), super::overlap(b, a), "{a} {b}");
            super::overlap(a, b)
        };
        assert!(overlap("127.0.0.1:80", "127.0.0.1:80"));
        assert!(overlap("0.0.0.0:80", "127.0.0.1:80"));
        assert!(overlap("[::]:80", "127.0.0.1:80"));
        assert!(overlap("[::]:80", "0.0.0.0:80"));
        assert!(overlap("[::ffff:127.0.0.1]:80", "127.0.0.1:80"));
        assert!(!overlap("0.0.0.0:80", "[::1]:80"));
        assert!(!overlap("127.0.0.1:80", "127.0.0.2:80"));
        assert!(!overlap("127.0.0.1:80", "127.0.0.1:81"));
        assert!(!overlap("127.0.0.1:0", "127.0.0.1:0"));
    }

    #[test]
    fn a_refusal_names_both_settings_and_a_way_out() {
        let taken = |b: (&str, &str)| {
            let listen = ("--listen".to_owned(), "0.0.0.0:7480".parse().unwrap());
            vec![listen, (b.0.to_owned(), b.1.parse().unwrap())]
        };
        let text = check(&taken(("--peer-listen", "10.0.0.1:7480"))).unwrap_err().message;
        assert!(text.contains("--listen and --peer-listen") && text.contains("--single-port"));
        let text = check(&taken(("--dialect hraftd", "0.0.0.0:7480"))).unwrap_err().message;
        assert!(text.contains("both 0.0.0.0:7480") && !text.contains("--single-port"), "{text}");
        check(&taken(("--dialect hraftd", "0.0.0.0:11000"))).unwrap();
    }
}
