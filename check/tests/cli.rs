//! The checker as operators run it: files in, remarks and an exit code out.

#![expect(clippy::unwrap_used, reason = "a test that cannot run its subject has failed")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

#[test]
fn a_plugin_configuration_is_checked_in_yaml_and_json() {
    #[rustfmt::skip]
    let cases = [
        // name             text                                        code  output
        ("minimal.yaml",    "tenant:\n  - header: x-tenant-id\n",       0,    "FILE:1: ok\n"),
        ("minimal.json",    "{\n\t\"tenant\": [{\"header\": \"a\"}]\n}", 0,   "FILE:1: ok\n"),
        ("surrogates.json", r#"{"anonymous": {"tenant": "\ud83d\ude00"}}"#, 0, "FILE: ok\n"),
        ("empty.yaml",      "",                                         0,
            "FILE: ok: empty, which is the default configuration\n"),
        ("number.yaml",     "max_buffered: 1e+06\n",                    0,    "FILE:1: ok\n"),
        ("capture.yaml",    "tenant:\n  - header: a\n  - header: b\n    capture: \"(\"\n", 1,
            "FILE:4: error: `tenant[1].capture` must be a regular expression: found open group without closing ')'\n"),
        ("two.yaml",        "max_buffered: 1\n\nstrip:\n  - ok\n  - \":path\"\n", 1,
            "FILE:5: error: `strip[1]` must be the name of a request header that does not frame or route it\n\
             FILE:1: error: `max_buffered` must be 1024 to 67108864\n"),
        ("missing.yaml",    "user: []\nproviders:\n  - host: a\n",      1,
            "FILE:3: error: `providers[0].provider` must be given\n"),
        ("list.yaml",       "- header: a\n",                            1,
            "FILE:1: error: the configuration must be an object, not a list\n"),
        ("twice.json",      "{\"user\": [],\n\"user\": []}",            1,
            "FILE:2: error: must be YAML or JSON: duplicated key in mapping\n"),
        ("broken.yaml",     "tenant: [\n",                              1,
            "FILE:2: error: must be YAML or JSON: while parsing a node, did not find expected node content\n"),
    ];
    for (name, text, code, expected) in cases {
        assert_says(name, text, code, expected);
    }
}

#[test]
fn every_configuration_of_an_envoy_file_is_found() {
    let chain =
        "static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters";
    assert_says(
        "envoy.yaml",
        ENVOY,
        1,
        &format!(
            "FILE:16: {chain}[0].typed_config.config.configuration: ok\n\
             FILE:32: {chain}[1].typed_config.config.configuration: error: `tenants` must be one of the fields \
             `tenant`, `feature`, `user`, `unit`, `anonymous`, `strip`, `hold_headers`, `max_buffered`, `include_usage`, `access_log`, \
             `metrics`, `service`, `budgets`, `time_zone`, `providers`, `prices`, `models`, `multipliers`, `unpriced`, `cost_source`, `max_attempts`, `tell`\n\
             FILE:45: {chain}[2].typed_config.value.config.configuration: ok\n"
        ),
    );
}

#[test]
fn hold_headers_must_say_what_envoy_says() {
    #[rustfmt::skip]
    let cases = [
        // allow    hold             code  output
        ("true",    "true",          0,    "FILE:5: config.configuration: ok\n"),
        ("false",   "false",         0,    "FILE:5: config.configuration: ok\n"),
        ("true",    "false",         1,    "FILE:7: config.configuration: error: `allow_on_headers_stop_iteration` is true, but `hold_headers` is not\n"),
        ("false",   "true",          1,    "FILE:7: config.configuration: error: `hold_headers` is true, but `allow_on_headers_stop_iteration` is not\n"),
    ];
    for (allow, hold, code, expected) in cases {
        let text = format!(
            "\"@type\": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm\n\
             config:\n  \
               name: tollgate\n  \
               allow_on_headers_stop_iteration: {allow}\n  \
               configuration:\n    \
                 \"@type\": type.googleapis.com/google.protobuf.Struct\n    \
                 value: {{hold_headers: {hold}}}\n"
        );
        assert_says(&format!("hold-{allow}-{hold}.yaml"), &text, code, expected);
    }
}

#[test]
fn kubernetes_resources_are_checked_one_by_one() {
    assert_says(
        "kubernetes.yaml",
        KUBERNETES,
        1,
        "FILE:14: document 2: spec.pluginConfig: warning: `hold_headers` is true, but Istio cannot set \
         `allow_on_headers_stop_iteration`: it works only where a patch sets it\n\
         FILE:13: document 2: spec.pluginConfig: ok\n\
         FILE:22: document 3: spec.wasm[0].config: error: `metrics.max_series` must be 100 to 1000000\n",
    );
}

#[test]
fn a_file_without_a_configuration_is_not_good() {
    #[rustfmt::skip]
    let cases = [
        ("bare-envoy.yaml", "static_resources: {}\n"),
        ("service.yaml",    "apiVersion: v1\nkind: Service\n---\n"),
    ];
    for (name, text) in cases {
        assert_says(name, text, 1, "FILE: error: no configuration of Tollgate found\n");
    }
}

#[test]
fn what_cannot_be_read_is_told_apart_from_what_is_wrong() {
    for arguments in [&[][..], &["a", "b"], &["--help"], &["no/such/file"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
    let file = file("latin1.yaml", b"a: \xff\n");
    assert_eq!(run(&[file.to_str().unwrap()]).status.code(), Some(2));
}

#[test]
fn the_schema_in_envoy_is_that_of_the_types() {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy/tollgate.schema.json");
    let output = run(&["--schema"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        fs::read(&schema).is_ok_and(|text| text == output.stdout),
        "write the output of `tollgate-check --schema` to envoy/tollgate.schema.json"
    );
}

/// Checks `text` in a file called `name`. `FILE` in `expected` stands for its path.
fn assert_says(name: &str, text: &str, code: i32, expected: &str) {
    let file = file(name, text.as_bytes());
    let path = file.to_str().unwrap();
    let output = run(&[path]);
    let said = String::from_utf8(output.stdout).unwrap().replace(path, "FILE");
    assert_eq!(said, expected, "{name}");
    assert_eq!(output.status.code(), Some(code), "{name}");
}

fn file(name: &str, text: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollgate-check")).args(arguments).output().unwrap()
}

/// Three filters of ours, handed over in the three ways that Envoy knows, and one of somebody else.
const ENVOY: &str = r#"static_resources:
  listeners:
    - filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                http_filters:
                  - name: tollgate
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
                      config:
                        vm_config:
                          code: { local: { filename: target/tollgate.wasm } }
                        # Whole numbers reach the filter as doubles.
                        allow_on_headers_stop_iteration: true
                        configuration:
                          "@type": type.googleapis.com/google.protobuf.Struct
                          value:
                            tenant: [{ header: x-tenant-id }]
                            hold_headers: true
                            max_buffered: 1000000
                  - name: tollgate-2
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
                      config:
                        configuration:
                          "@type": type.googleapis.com/google.protobuf.StringValue
                          value: |
                            {
                              "strip": [],

                              "tenants": []
                            }
                  - name: tollgate-3
                    typed_config:
                      "@type": type.googleapis.com/udpa.type.v1.TypedStruct
                      type_url: type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
                      value:
                        config:
                          name: x
                          root_id: x
                          vm_config:
                            runtime: envoy.wasm.runtime.v8

                          configuration:
                            "@type": type.googleapis.com/google.protobuf.StringValue
                            value: '{"user": [{"body": "/user"}]}'
                  - name: somebody-else
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
                      config:
                        configuration:
                          "@type": type.googleapis.com/google.protobuf.StringValue
                          value: not for us
"#;

/// What a cluster's manifest may hold.
const KUBERNETES: &str = r"apiVersion: v1
kind: Service
metadata:
  name: gateway
---
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata:
  name: tollgate
spec:
  url: oci://registry.example.com/tollgate:1

  pluginConfig:
    hold_headers: true
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyExtensionPolicy
spec:
  wasm:
    - name: tollgate
      config:
        metrics: { max_series: 10 }
";
