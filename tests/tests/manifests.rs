//! The files of `deploy/` for Kubernetes and Docker Compose fit together and to the image. That the Helm chart renders
//! to the files of `deploy/kubernetes` is checked by `tests/checks/chart`, where there is a helm.

use saga_tests::repository_root;
use serde_json::Value;
use std::fs;

fn text(path: &str) -> String {
    fs::read_to_string(repository_root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    parsed(path, &text(path))
}

fn parsed(path: &str, text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The documents of all files of `deploy/kubernetes`.
fn manifests() -> Vec<Value> {
    let files = fs::read_dir(repository_root().join("deploy/kubernetes")).expect("the manifests are there");
    let names = files.map(|file| file.expect("the manifests are there").file_name().to_string_lossy().into_owned());
    let mut all = Vec::new();
    for name in names {
        let path = format!("deploy/kubernetes/{name}");
        for document in text(&path).split("\n---\n").skip(1) {
            all.push(parsed(&path, document));
        }
    }
    all
}

fn only(kind: &str) -> Value {
    let mut found: Vec<Value> = manifests().into_iter().filter(|it| it["kind"] == kind).collect();
    assert_eq!(found.len(), 1, "manifests of the kind {kind}");
    found.remove(0)
}

fn container(deployment: &Value) -> &Value {
    let containers = deployment["spec"]["template"]["spec"]["containers"].as_array().expect("a pod has containers");
    assert_eq!(containers.len(), 1);
    &containers[0]
}

#[test]
fn every_manifest_says_what_it_is() {
    let all = manifests();
    assert!(all.len() >= 7, "{} manifests", all.len());
    for one in all {
        for field in [&one["apiVersion"], &one["kind"], &one["metadata"]["name"], &one["metadata"]["namespace"]] {
            assert!(field.as_str().is_some_and(|text| !text.is_empty()), "{one}");
        }
    }
}

#[test]
fn an_engine_has_no_rights_that_it_does_not_need() {
    let deployment = only("Deployment");
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    for field in ["runAsUser", "runAsGroup"] {
        let id = &pod["securityContext"][field];
        assert!(text("Dockerfile").contains(&format!("--uid {id} ")), "{field}: the image has another user than {id}");
    }
    let security = &container(&deployment)["securityContext"];
    assert_eq!(security["allowPrivilegeEscalation"], false);
    assert_eq!(security["privileged"], false);
    assert_eq!(security["readOnlyRootFilesystem"], true);
    assert_eq!(security["capabilities"]["drop"], serde_json::json!(["ALL"]));
    assert_eq!(only("ServiceAccount")["automountServiceAccountToken"], false);
}

#[test]
fn an_engine_has_time_to_end_and_is_restarted_only_where_that_helps() {
    let deployment = only("Deployment");
    let container = container(&deployment);
    // Maximum time of an orderly end: 30 s.
    assert!(deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_u64() > Some(30));
    // Another engine has the shards before one is gone.
    assert_eq!(deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], 0);
    // A restart repairs neither the database nor the broker.
    assert_eq!(container["startupProbe"]["httpGet"]["path"], "/health/live");
    assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/health/live");
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/health/ready");
    assert_eq!(container["resources"]["limits"]["cpu"], Value::Null, "an engine that is throttled loses its session");
    assert!(container["resources"]["requests"]["memory"].is_string());
}

#[test]
fn the_manifests_fit_together() {
    let deployment = only("Deployment");
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    let selectors = [
        deployment["spec"]["selector"]["matchLabels"].clone(),
        only("Service")["spec"]["selector"].clone(),
        only("PodDisruptionBudget")["spec"]["selector"]["matchLabels"].clone(),
        only("NetworkPolicy")["spec"]["podSelector"]["matchLabels"].clone(),
    ];
    for selector in selectors {
        for (label, value) in selector.as_object().expect("a selector has labels") {
            assert_eq!(&labels[label], value, "{label}");
        }
    }
    let config = only("ConfigMap");
    let volumes = &deployment["spec"]["template"]["spec"]["volumes"];
    assert_eq!(volumes[0]["configMap"]["name"], config["metadata"]["name"]);
    let config = parsed("config.yaml", config["data"]["config.yaml"].as_str().expect("there is a configuration"));
    let mounts = container(&deployment)["volumeMounts"].as_array().expect("there are volumes");
    for key in ["sagas", "schemas"] {
        assert!(mounts.iter().any(|mount| mount["mountPath"] == config[key]), "the folder {key} is no volume");
    }
    let port = &container(&deployment)["ports"][0]["containerPort"];
    assert_eq!(config["api"]["listen"], format!("0.0.0.0:{port}"));
}

#[test]
fn the_chart_has_the_version_of_the_binary() {
    let chart = yaml("deploy/helm/saga/Chart.yaml");
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    let deployment = only("Deployment");
    assert_eq!(container(&deployment)["image"], format!("saga-orchestrator:{}", env!("CARGO_PKG_VERSION")));
    assert!(yaml("deploy/helm/saga/values.yaml")["replicas"].as_u64() > Some(1));
}

/// The services of docker-compose.yml by name.
fn services() -> serde_json::Map<String, Value> {
    yaml("docker-compose.yml")["services"].as_object().expect("there are services").clone()
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

#[test]
fn what_containers_mount_is_there_and_ports_are_of_this_machine_alone() {
    for (name, service) in services() {
        for mounted in texts(&service["volumes"]) {
            let source = mounted.split(':').next().unwrap_or_default();
            let is_there = !source.starts_with("./") || repository_root().join(source).exists();
            assert!(is_there, "{name} mounts {source}, which is not there");
        }
        for port in texts(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name} publishes {port} to other machines");
        }
    }
}

#[test]
fn only_a_profile_starts_what_observes() {
    for (name, service) in services() {
        let is_observing = ["prometheus", "grafana", "collector"].contains(&name.as_str());
        let expected = if is_observing { serde_json::json!(["observability"]) } else { Value::Null };
        assert_eq!(service["profiles"], expected, "{name}");
    }
}

#[test]
fn prometheus_grafana_and_the_collector_find_each_other() {
    let (services, prometheus) = (services(), yaml("deploy/prometheus/prometheus.yaml"));
    let jobs = prometheus["scrape_configs"].as_array().expect("something is scraped");
    for target in jobs.iter().flat_map(|job| texts(&job["static_configs"][0]["targets"])) {
        let (host, _) = target.split_once(':').expect("a target has a port");
        assert!(services.contains_key(host), "{target} is no service of docker-compose.yml");
    }
    let engine = format!("orchestrator:{}", yaml("deploy/config.yaml")["api"]["listen"].as_str().unwrap_or_default());
    assert_eq!(jobs[0]["static_configs"][0]["targets"][0], engine.replace("0.0.0.0:", ""));
    let collector = yaml("deploy/otel/collector.yaml");
    let port = collector["exporters"]["prometheus"]["endpoint"].as_str().expect("metrics are given").to_owned();
    assert_eq!(jobs[1]["static_configs"][0]["targets"][0], port.replace("0.0.0.0", "collector"));
    let source = &yaml("deploy/grafana/provisioning/datasources/prometheus.yaml")["datasources"][0];
    assert_eq!(source["url"], "http://prometheus:9090");
    assert_eq!(source["jsonData"]["timeInterval"], prometheus["global"]["scrape_interval"]);
    let folder = yaml("deploy/grafana/provisioning/dashboards/saga.yaml")["providers"][0]["options"]["path"].clone();
    let folder = folder.as_str().expect("dashboards are in a folder");
    let mounted = format!("./deploy/grafana:{folder}:ro");
    assert!(texts(&services["grafana"]["volumes"]).any(|volume| volume == mounted), "nobody mounts {mounted}");
}
