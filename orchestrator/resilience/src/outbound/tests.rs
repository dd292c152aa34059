//! A table of URLs, and what becomes of each.

use super::*;

/// What becomes of a URL whose name, if it has one, leads to the address in the second column.
fn judged(url: &str, resolved: &str, policy: &AddressPolicy) -> &'static str {
    let Ok(url) = Url::parse(url) else { return "no url" };
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(_)) | None => resolved.parse().expect("an address"),
    };
    policy.check(url.host_str().unwrap_or_default(), address).map_or_else(AddressRule::as_str, |()| "allowed")
}

/// URL, the address of its name, what becomes of it.
const TABLE: [(&str, &str, &str); 78] = [
    // Cloud metadata in every writing of an IPv4 address.
    ("http://169.254.169.254/latest/meta-data/", "", "cloud_metadata"),
    ("https://169.254.169.254:8443/", "", "cloud_metadata"),
    ("http://2852039166/", "", "cloud_metadata"),
    ("http://0xa9fea9fe/", "", "cloud_metadata"),
    ("http://0xA9FEA9FE/", "", "cloud_metadata"),
    ("http://025177524776/", "", "cloud_metadata"),
    ("http://0251.0376.0251.0376/", "", "cloud_metadata"),
    ("http://0xa9.0xfe.0xa9.0xfe/", "", "cloud_metadata"),
    ("http://0251.254.0xa9.254/", "", "cloud_metadata"),
    ("http://169.254.43518/", "", "cloud_metadata"),
    ("http://169.16689662/", "", "cloud_metadata"),
    ("http://169.254.169.254./", "", "cloud_metadata"),
    ("http://169%2E254%2E169%2E254/", "", "cloud_metadata"),
    ("http://169。254。169。254/", "", "cloud_metadata"),
    ("http://①⑥⑨.②⑤④.①⑥⑨.②⑤④/", "", "cloud_metadata"),
    ("http://user@169.254.169.254/", "", "cloud_metadata"),
    ("http://user:password@169.254.169.254/", "", "cloud_metadata"),
    ("http://example.com@169.254.169.254/", "", "cloud_metadata"),
    ("http://example.com:80@169.254.169.254:80/", "", "cloud_metadata"),
    ("http://169.254.169.254#@example.com/", "", "cloud_metadata"),
    ("http://169.254.169.254?@example.com/", "", "cloud_metadata"),
    ("http:\\\\169.254.169.254\\", "", "cloud_metadata"),
    ("http:169.254.169.254", "", "cloud_metadata"),
    ("http:///169.254.169.254", "", "cloud_metadata"),
    (" http://169.254.169.254 ", "", "cloud_metadata"),
    ("http://169.254.\t169.254/", "", "cloud_metadata"),
    ("http://169.254.170.2/v2/credentials", "", "cloud_metadata"),
    ("http://169.254.170.23/v1/credentials", "", "cloud_metadata"),
    ("http://100.100.100.200/latest/meta-data/", "", "cloud_metadata"),
    ("http://168.63.129.16/", "", "cloud_metadata"),
    ("http://192.0.0.192/", "", "cloud_metadata"),
    // The same in IPv6.
    ("http://[fd00:ec2::254]/", "", "cloud_metadata"),
    ("http://[FD00:0EC2:0:0:0:0:0:254]/", "", "cloud_metadata"),
    ("http://[fd00:ec2::23]/", "", "cloud_metadata"),
    ("http://[fd20:ce::254]/", "", "cloud_metadata"),
    ("http://[::ffff:169.254.169.254]/", "", "cloud_metadata"),
    ("http://[::ffff:a9fe:a9fe]/", "", "cloud_metadata"),
    ("http://[0:0:0:0:0:ffff:a9fe:a9fe]/", "", "cloud_metadata"),
    ("http://[::169.254.169.254]/", "", "cloud_metadata"),
    ("http://[::ffff:0:169.254.169.254]/", "", "cloud_metadata"),
    ("http://[64:ff9b::169.254.169.254]/", "", "cloud_metadata"),
    ("http://[64:ff9b::a9fe:a9fe]/", "", "cloud_metadata"),
    ("http://[64:ff9b:1::a9fe:a9fe]/", "", "cloud_metadata"),
    ("http://[2002:a9fe:a9fe::]/", "", "cloud_metadata"),
    ("http://[::ffff:100.100.100.200]/", "", "cloud_metadata"),
    // Link-local.
    ("http://169.254.0.1/", "", "link_local"),
    ("http://169.254.255.255/", "", "link_local"),
    ("http://[fe80::1]/", "", "link_local"),
    ("http://[febf::1]/", "", "link_local"),
    ("http://[::ffff:169.254.1.1]/", "", "link_local"),
    ("http://[fe80::1%25eth0]/", "", "no url"),
    // This network, groups, everybody.
    ("http://0/", "", "this_network"),
    ("http://0.0.0.0:8080/", "", "this_network"),
    ("http://0.1.2.3/", "", "this_network"),
    ("http://0x0/", "", "this_network"),
    ("http://[::]/", "", "this_network"),
    ("http://[::ffff:0.0.0.0]/", "", "this_network"),
    ("http://[64:ff9b::]/", "", "this_network"),
    ("http://224.0.0.1/", "", "multicast"),
    ("http://239.255.255.250/", "", "multicast"),
    ("http://[ff02::1]/", "", "multicast"),
    ("http://[::ffff:224.0.0.1]/", "", "multicast"),
    ("http://255.255.255.255/", "", "broadcast"),
    // Names are judged by what they lead to.
    ("http://metadata.google.internal/", "169.254.169.254", "cloud_metadata"),
    ("http://metadata.google.internal./", "169.254.169.254", "cloud_metadata"),
    ("http://169.254.169.254.nip.io/", "169.254.169.254", "cloud_metadata"),
    ("http://169.254.169.254.example.com/", "93.184.215.14", "allowed"),
    ("http://169.254.169.254@example.com/", "93.184.215.14", "allowed"),
    ("http://example.com/?u=http://169.254.169.254", "93.184.215.14", "allowed"),
    // Where participants are.
    ("http://localhost:9001/", "127.0.0.1", "allowed"),
    ("http://127.0.0.1:9001/", "", "allowed"),
    ("http://[::1]:9001/", "", "allowed"),
    ("http://[::ffff:127.0.0.1]/", "", "allowed"),
    ("http://10.0.0.1/", "", "allowed"),
    ("http://172.16.3.4/", "", "allowed"),
    ("http://192.168.1.1/", "", "allowed"),
    ("http://[fd00::1]/", "", "allowed"),
    ("http://169.253.255.255/", "", "allowed"),
];

#[test]
fn every_writing_of_an_address_is_judged_as_that_address() {
    let policy = AddressPolicy::default();
    for (url, resolved, expected) in TABLE {
        assert_eq!(judged(url, resolved, &policy), expected, "{url}");
    }
}

fn policy(allow: Option<&[&str]>, allow_reserved: &[&str]) -> Result<AddressPolicy, AddressRuleError> {
    let owned = |list: &[&str]| list.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
    AddressPolicy::new(allow.map(owned).as_deref(), &owned(allow_reserved))
}

#[test]
fn a_reserved_address_is_allowed_in_all_its_writings_once_it_is_named() {
    let named = policy(None, &["169.254.10.0/24", "fe80::1"]).expect("a policy");
    for (url, expected) in [
        ("http://169.254.10.7/", "allowed"),
        ("http://[::ffff:169.254.10.7]/", "allowed"),
        ("http://[fe80::1]/", "allowed"),
        ("http://[fe80::2]/", "link_local"),
        ("http://169.254.169.254/", "cloud_metadata"),
    ] {
        assert_eq!(judged(url, "", &named), expected, "{url}");
    }
}

#[test]
fn a_list_allows_hosts_domains_and_networks_and_no_reserved_address() {
    let listed = policy(Some(&["Payments.Example.com", "*.shop.test", "10.0.0.0/8"]), &[]).expect("a policy");
    for (url, resolved, expected) in [
        ("http://payments.example.com/", "93.184.215.14", "allowed"),
        ("http://PAYMENTS.example.com./", "93.184.215.14", "allowed"),
        ("http://evil-payments.example.com/", "93.184.215.14", "not_listed"),
        ("http://a.shop.test/", "93.184.215.14", "allowed"),
        ("http://a.b.shop.test/", "93.184.215.14", "allowed"),
        ("http://shop.test/", "93.184.215.14", "not_listed"),
        ("http://evilshop.test/", "93.184.215.14", "not_listed"),
        ("http://anything.test/", "10.1.2.3", "allowed"),
        ("http://[::ffff:10.1.2.3]/", "", "allowed"),
        ("http://127.0.0.1/", "", "not_listed"),
        // A listed name that leads to the metadata is refused all the same.
        ("http://payments.example.com/", "169.254.169.254", "cloud_metadata"),
    ] {
        assert_eq!(judged(url, resolved, &listed), expected, "{url} at {resolved}");
    }
    assert_eq!(judged("http://127.0.0.1/", "", &policy(Some(&[]), &[]).expect("an empty list")), "not_listed");
}

#[test]
fn an_entry_that_cannot_be_read_is_refused_with_what_to_write() {
    for wrong in ["", "10.0.0.0/33", "10.0.0", "http://a", "a/b", "a b", "*", "*.", "a..b", "2852039166", "host:80"] {
        let error = policy(Some(&[wrong]), &[]).expect_err(wrong).to_string();
        assert!(error.contains("write payments.example.com"), "{error}");
    }
    let error = policy(None, &["metadata.google.internal"]).expect_err("a name").to_string();
    assert!(error.contains("169.254.10.1"), "{error}");
}
