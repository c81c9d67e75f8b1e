//! `tollgate-quota serve` runs the service, `tollgate-quota check FILE` checks a customers.yaml.

fn main() {}
