//! Packs the price book for the filter: each provider's models apart, deflated, so that a worker
//! unpacks only those that it meets, behind a head that names them all.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={BOOK}");
    println!("cargo::rerun-if-changed=build.rs");
    let mut book: Value = serde_json::from_slice(&fs::read(BOOK)?)?;
    let mut packed = Vec::new();
    let providers = book.get_mut("providers").and_then(Value::as_array_mut);
    for provider in providers.ok_or("a book without providers")? {
        let provider = provider.as_object_mut().ok_or("a provider that is no object")?;
        let models = provider.remove("models").ok_or("a provider without models")?;
        let start = packed.len();
        packed.extend(miniz_oxide::deflate::compress_to_vec(&serde_json::to_vec(&models)?, LEVEL));
        provider.insert("packed".to_owned(), Value::from(vec![start, packed.len()]));
    }
    let out = env::var_os("OUT_DIR").ok_or("no OUT_DIR")?;
    fs::write(Path::new(&out).join("book.json"), serde_json::to_vec(&book)?)?;
    fs::write(Path::new(&out).join("book.bin"), packed)?;
    Ok(())
}

const BOOK: &str = "src/price/book.json";
/// As small as it gets.
const LEVEL: u8 = 10;
