//! Checks a Tollgate configuration offline, before Envoy loads it.
//!
//! `tollgate-check FILE` says of each configuration in the file whether the filter would take it;
//! `tollgate-check --schema` prints the JSON schema. Exit codes: 0 all good, 1 something is wrong
//! with a configuration, 2 there was nothing to check.

use std::{env, fs, process::ExitCode};

use tollgate::config::Config;

use crate::{find::Place, tree::Node, verdict::Remark};

mod find;
mod tree;
mod verdict;

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["--schema"] => {
            println!("{:#}", Config::schema().to_value());
            ExitCode::SUCCESS
        }
        [file] if !file.starts_with('-') => check_file(file),
        _ => refuse("usage: tollgate-check FILE | --schema"),
    }
}

fn check_file(file: &str) -> ExitCode {
    match fs::read(file).map(String::from_utf8) {
        Err(error) => refuse(&format!("{file}: {error}")),
        Ok(Err(_)) => refuse(&format!("{file}: not UTF-8")),
        Ok(Ok(text)) => match check(file, &text) {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        },
    }
}

/// Prints what is to be said about the text of `file`. Returns whether all is good.
fn check(file: &str, text: &str) -> bool {
    let documents = match tree::read(text) {
        Ok(documents) => documents,
        Err((line, error)) => {
            println!("{file}:{line}: error: must be YAML or JSON: {error}");
            return false;
        }
    };
    if documents.is_empty() {
        println!("{file}: ok: empty, which is the default configuration");
        return true;
    }
    let mut good = true;
    let mut found = false;
    for (at, document) in documents.iter().enumerate() {
        for place in find::places(document) {
            found = true;
            good &= report(file, (at, documents.len()), document, &place);
        }
    }
    if !found {
        println!("{file}: error: no configuration of Tollgate found");
    }
    good && found
}

/// Prints what is to be said about one place. Returns whether it is good.
fn report(file: &str, (at, count): (usize, usize), document: &Node, place: &Place<'_>) -> bool {
    let path = place.path.trim_start_matches('.');
    let mut name = String::new();
    if count > 1 {
        name = format!("document {}: ", at.saturating_add(1));
    }
    if !path.is_empty() {
        name = format!("{name}{path}: ");
    }
    let print = |line: Option<usize>, what: &str| {
        let line = line.map_or_else(String::new, |line| format!(":{line}"));
        println!("{file}{line}: {name}{what}");
    };
    let remarks = verdict::remarks(place);
    for Remark { line, is_error, text } in &remarks {
        let kind = if *is_error { "error" } else { "warning" };
        print(line.or_else(|| document.line_at(path)), &format!("{kind}: {text}"));
    }
    let good = !remarks.iter().any(|remark| remark.is_error);
    if good {
        print(document.line_at(path), "ok");
    }
    good
}

fn refuse(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::from(2)
}
