//! What a configuration is, and what is said of one that is wrong.

use super::{ConfigFlags, ConfigSources, EngineConfig, load, load_to_serve};
use saga_engine::events_topic::{EventsTopic, EventsTopicStart};
use saga_wire::dead_letter::{AddedDialects, LetterDialect};

fn check(file: &str, env: &[(&str, &str)], flags: ConfigFlags) -> Result<EngineConfig, Vec<String>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("c.yaml");
    std::fs::write(&path, file).expect("written");
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    load(&ConfigSources { file: Some(&path), env, flags })
        .map_err(|error| error.0.iter().map(|line| line.replace(&path.display().to_string(), "c.yaml")).collect())
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let file = "shards: 8\nkafka: {group: file, bootstrapServers: 'a:1'}\n";
    let env = [("SAGA_KAFKA_GROUP", "env"), ("SAGA_KAFKA_BOOTSTRAP_SERVERS", "b:2")];
    let config = check(file, &env, vec![("kafka.group", "flag".into())]).expect("good");
    assert_eq!((config.shards, config.kafka.group.as_str()), (8, "flag"));
    assert_eq!(config.kafka.bootstrap_servers, "b:2");
}

#[test]
fn every_error_is_told_at_once_with_place_value_and_expectation() {
    let file =
        "shards: 5000\nstor: x\nstore: mysql://u:secret@h/d\napi: {listen: nowhere}\ntopics: {dlq: saga.inbox}\n";
    let errors = check(file, &[("SAGA_KAFKA_GRUOP", "x")], vec![]).expect_err("bad");
    assert_eq!(
        errors,
        [
            "c.yaml: `stor` is not a key; did you mean `store`?",
            "environment: `SAGA_KAFKA_GRUOP` is not a variable of the orchestrator; did you mean `SAGA_KAFKA_GROUP`?",
            "c.yaml: `store` is `mysql://…@h/d`: expected `postgres://user:password@host:port/database` or `sqlite:./file.db`",
            "c.yaml: `shards` is `5000`: expected a number from 1 to 4096",
            "c.yaml: `api.listen` is `nowhere`: expected an address and a port, `127.0.0.1:8080` or `[::]:8080`",
            "c.yaml: `topics.dlq` is `saga.inbox`: expected another topic than `topics.inbox` has",
        ]
    );
}

#[test]
fn the_topic_of_all_events_is_off_until_it_is_named() {
    assert_eq!(check("shards: 8\n", &[], vec![]).expect("good").topics.events, None);
    for (file, start) in [
        ("topics: {events: all.events}", EventsTopicStart::Newest),
        ("topics: {events: all.events, eventsFrom: oldest}", EventsTopicStart::Oldest),
    ] {
        let events = check(file, &[], vec![]).expect("good").topics.events;
        assert_eq!(events, Some(EventsTopic { name: "all.events".into(), start }), "{file}");
    }
    for (file, told) in [
        (
            "topics: {events: saga.dlq}",
            "c.yaml: `topics.events` is `saga.dlq`: expected another topic than `topics.dlq` has",
        ),
        (
            "topics: {eventsFrom: oldest}",
            "c.yaml: `topics.eventsFrom` says where a topic begins: expected `topics.events`, too",
        ),
        ("topics: {events: e, eventsFrom: now}", "c.yaml: `topics.eventsFrom` is `now`: expected `newest` or `oldest`"),
    ] {
        assert_eq!(check(file, &[], vec![]).expect_err("bad"), [told], "{file}");
    }
}

#[test]
fn a_topic_can_have_a_topic_of_its_own_for_its_dead_letters() {
    let read = |file: &str| check(file, &[], vec![]).map(|config| config.topics);
    let topics =
        read("topics: {dlqOf: {shop.orders: shop.dlq, shop.refunds: shop.dlq, shop.stock: saga.dlq}}").expect("good");
    assert_eq!(&**topics.letter_routes().topic_of("shop.refunds"), "shop.dlq");
    let reserved: Vec<&str> = topics.reserved().iter().map(|reserved| reserved.topic).collect();
    assert_eq!(reserved, ["saga.inbox", "saga.replies", "saga.dlq", "shop.dlq"], "each once");
    for (file, told) in [
        ("topics: {dlqOf: shop.dlq}", "`topics.dlqOf`: expected topics with the topics of their dead letters"),
        ("topics: {dlqOf: {a: b c}}", "`topics.dlqOf.a` is `b c`: expected a topic's name"),
        ("topics: {dlqOf: {a: a}}", "`topics.dlqOf.a` is `a`: expected a topic's name"),
        ("topics: {dlqOf: {a: 7}}", "`topics.dlqOf.a` is `7`: expected a topic's name"),
        (
            "topics: {dlqOf: {a: saga.inbox}}",
            "`topics.dlqOf` is `saga.inbox`: expected another topic than `topics.inbox` has",
        ),
        (
            "topics: {events: d, dlqOf: {a: d}}",
            "`topics.events` is `d`: expected another topic than `topics.dlqOf` has",
        ),
    ] {
        let errors = read(file).expect_err(file);
        assert!(matches!(&*errors, [one] if one.contains(told)), "{file}: {errors:?}");
    }
}

#[test]
fn dead_letters_have_the_headers_of_other_programs_if_they_are_named() {
    let dialects = |named: &[LetterDialect]| named.iter().copied().collect::<AddedDialects>();
    let read = |file: &str, env: &[(&str, &str)]| check(file, env, vec![]).map(|config| config.letters.dialects);
    assert_eq!(read("shards: 8\n", &[]), Ok(AddedDialects::default()));
    assert_eq!(read("deadLetters: {headers: [spring]}", &[]), Ok(dialects(&[LetterDialect::Spring])));
    let all = Ok(dialects(&LetterDialect::ALL));
    assert_eq!(read("deadLetters: {headers: [saga, spring, kafkaConnect]}", &[]), all);
    assert_eq!(read("shards: 8\n", &[("SAGA_DEAD_LETTERS_HEADERS", "spring, kafkaConnect")]), all);
    let told =
        "c.yaml: `deadLetters.headers` has `sprng`: expected saga, spring or kafkaConnect; did you mean `spring`?";
    assert_eq!(read("deadLetters: {headers: [saga, sprng]}", &[]), Err(vec![told.to_owned()]));
}

#[test]
fn properties_read_the_environment_and_are_not_printed() {
    let file = "kafka:\n  properties:\n    sasl.username: anna\n    sasl.password: ${ env.KEY_PASSWORD }\n";
    let config = check(file, &[("KEY_PASSWORD", "hunter2")], vec![]).expect("good");
    assert_eq!(config.kafka.properties["sasl.password"], "hunter2");
    assert!(!format!("{config:?}").contains("hunter2"));
    let errors = check(file, &[], vec![]).expect_err("not set");
    assert!(errors[0].contains("`KEY_PASSWORD`, which is not set"), "{errors:?}");
}

/// A property that needs TLS, in a build with it and in one without.
#[test]
fn a_build_without_tls_to_kafka_says_how_to_get_it() {
    for property in ["security.protocol: SASL_SSL", "ssl.ca.location: ca.pem", "sasl.mechanism: SCRAM-SHA-512"] {
        let errors = check(&format!("kafka:\n  properties:\n    {property}\n"), &[], vec![]).err();
        let expected = !cfg!(feature = "tls");
        let told = errors.iter().flatten().any(|error| error.contains("cargo build --release --features tls"));
        assert_eq!(told, expected, "{property}: {errors:?}");
    }
    let plain = "kafka:\n  properties:\n    security.protocol: sasl_plaintext\n    sasl.mechanism: PLAIN\n";
    assert!(check(plain, &[], vec![]).is_ok());
}

#[test]
fn a_number_that_yaml_reads_as_another_one_has_to_be_quoted() {
    for password in ["12345678901234567890123", "0123", "0x1F", "1_000", "1e400", "1.10"] {
        let file = |password: &str| format!("kafka:\n  properties:\n    sasl.password: {password}\n");
        match check(&file(password), &[], vec![]) {
            Ok(config) => assert_eq!(config.kafka.properties["sasl.password"], password),
            Err(errors) => {
                assert!(errors[0].contains("in quotes") || errors[0].contains("cannot be read"), "{errors:?}");
            }
        }
        let config = check(&file(&format!("\"{password}\"")), &[], vec![]).expect("quoted");
        assert_eq!(config.kafka.properties["sasl.password"], password);
    }
}

#[test]
fn a_variable_that_is_missing_hides_no_other_property() {
    let file = "kafka:\n  properties:\n    sasl.password: ${ env.MISSING }\n    acks: 1\n    no.such.thing: 1\n    socket.keepalive.enable: perhaps\n";
    let errors = check(file, &[], vec![]).expect_err("bad").join("\n");
    for words in ["`MISSING`", "`acks` cannot be set", "`no.such.thing`", "`socket.keepalive.enable`"] {
        assert!(errors.contains(words), "{words}: {errors}");
    }
    assert!(errors.lines().all(|line| line.starts_with("c.yaml: ")), "{errors}");
}

#[test]
fn a_group_that_another_installation_uses_beside_its_own_is_refused() {
    for group in ["orders.shards", "orders.store", "orders.catch-up.x", " "] {
        let errors = check(&format!("kafka: {{group: '{group}'}}\n"), &[], vec![]).expect_err("bad").join("\n");
        assert!(errors.contains("`kafka.group` is") && errors.contains(".shards"), "{errors}");
    }
    for group in ["orders", "shards", "store", "orders.store.eu", "orders-catch-up"] {
        check(&format!("kafka: {{group: '{group}'}}\n"), &[], vec![]).expect("good");
    }
}

#[test]
fn an_address_that_no_store_has_is_told_with_the_others() {
    for store in ["sqlite::memory:", "sqlite:a.db?mode=memory", "postgres://h:port/d"] {
        let errors = check(&format!("store: '{store}'\nshards: none\n"), &[], vec![]).expect_err("bad");
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(errors[0].starts_with("c.yaml: `store` is"), "{errors:?}");
    }
}

#[test]
fn a_folder_without_definitions_is_told_with_the_others() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("c.yaml");
    std::fs::write(&path, "shards: none\nsagas: ./nowhere\n").expect("written");
    let sources = || ConfigSources { file: Some(&path), env: std::collections::BTreeMap::new(), flags: Vec::new() };
    let told = |wanted: &str| load_to_serve(&sources()).expect_err("bad").0.iter().any(|line| line.contains(wanted));
    assert!(told("`shards`") && told("`sagas`") && told("nowhere"));
    std::fs::create_dir(folder.path().join("nowhere")).expect("created");
    assert!(told("`shards`") && told("there is no *.saga.yaml"));
    std::fs::write(folder.path().join("nowhere/a.saga.yaml"), "").expect("written");
    assert!(!told("`sagas`"));
    assert!(!load(&sources()).expect_err("shards").0.iter().any(|line| line.contains("`sagas`")));
}

#[test]
fn what_kubernetes_sets_for_a_service_of_our_name_is_no_variable_of_ours() {
    let links = [
        ("SAGA_SERVICE_HOST", "10.0.0.11"),
        ("SAGA_SERVICE_PORT", "8080"),
        ("SAGA_SERVICE_PORT_HTTP", "8080"),
        ("SAGA_PORT", "tcp://10.0.0.11:8080"),
        ("SAGA_PORT_8080_TCP", "tcp://10.0.0.11:8080"),
        ("SAGA_PORT_8080_TCP_PROTO", "tcp"),
        ("SAGA_PORT_8080_TCP_PORT", "8080"),
        ("SAGA_PORT_8080_TCP_ADDR", "10.0.0.11"),
        ("SAGA_KAFKA_SERVICE_HOST", "fd00::1"),
        ("SAGA_KAFKA_SERVICE_PORT", "9092"),
        ("SAGA_KAFKA_PORT", "udp://[fd00::1]:9092"),
        ("SAGA_KAFKA_PORT_9092_UDP_ADDR", "fd00::1"),
    ];
    check("", &links, vec![]).expect("nothing is said that is wrong");
    // What only looks like one may be a typing error.
    for (name, value) in [
        ("SAGA_PORT", "8080"),
        ("SAGA_PORT", "http://here:8080"),
        ("SAGA_SERVICE_HOST", "here"),
        ("SAGA_SERVICE_PORT", "http"),
        ("SAGA_PORT_8080_TCP_ADDR", "here"),
        ("SAGA_API_PORT", "8080"),
    ] {
        check("", &[(name, value)], vec![]).expect_err(name);
    }
}

#[test]
fn no_error_shows_what_may_be_a_secret() {
    let files = [
        "store: [\"postgres://saga:CANARY@h/d\"]\n",
        "store: {url: CANARY}\n",
        "store: mysql://saga:CANARY@h/d?password=CANARY\n",
        "store: host/d?password=CANARY\n",
        "kafka:\n  properties:\n    sasl.password: 0777\n",
        "kafka:\n  properties: {sasl.password: [CANARY]}\n",
        "kafka:\n  bootstrapServers: \"https://u:CANARY@h/\"\n",
        "kafka: {bootstrapServers: \"u:CANARY@127.0.0.1:1\"}\n",
        "kafka: {bootstrapServers: \"a:1,u:CAN,ARY@b:2\"}\n",
        "kafka: {bootstrapServers: \"SASL_SSL://u:CANARY@b:2\"}\n",
        "api: {listen: \"u:CANARY@127.0.0.1:80\"}\n",
        "- CANARY\n",
        "kafka:\n  properties:\n    sasl.password: \"CANARY\n  group: x\n",
        "kafka:\n  properties:\n    sasl.password: *CANARY\n",
        "store: x\nstore: CANARY\n",
    ];
    for file in files {
        let error = check(file, &[], vec![]).expect_err(file).join("\n");
        assert!(
            !error.contains("CANARY") && !error.contains("ARY@") && !error.contains("511") && !error.contains("777"),
            "{file}\n{error}"
        );
    }
}

#[test]
fn brokers_are_named_by_host_and_port() {
    for servers in ["localhost:9092", "a:1,b.example:2", "a:1, b_c-d:2", "127.0.0.1:9092", "[::1]:9092", "größe.de:1"]
    {
        let file = format!("kafka: {{bootstrapServers: \"{servers}\"}}\n");
        let read = check(&file, &[], vec![]).unwrap_or_else(|errors| panic!("{servers}: {errors:?}"));
        assert_eq!(read.kafka.bootstrap_servers, servers);
    }
    for wrong in [
        "u:p@127.0.0.1:1",
        "http://h:9092",
        "kafka://h:9092",
        "h",
        "h:0",
        "h:+1",
        "h:99999",
        ":1",
        "a:1,,b:2",
        "a b:1",
        "h/x:1",
        "::1:9092",
        "[::x]:1",
    ] {
        let error = check(&format!("kafka: {{bootstrapServers: \"{wrong}\"}}\n"), &[], vec![]).expect_err(wrong);
        assert!(error[0].contains("`kafka.bootstrapServers`") && error[0].contains("`host:port`"), "{error:?}");
    }
}
