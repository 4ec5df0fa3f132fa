//! Unpacks `sqlx-data.json` for the checked queries.
//!
//! sqlx stores its data of each query in a separate file; this project stores all of it in one file, an object from the
//! query's hash to its data. This script unpacks that object to where the macros look for it, so that no database is needed
//! to compile. `cargo xtask sqlx-data` updates the file and sets `PAULINA_SQLX_PREPARE` to disable this script.

use std::path::Path;
use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=sqlx-data.json");
    println!("cargo:rerun-if-env-changed=PAULINA_SQLX_PREPARE");
    if env::var_os("PAULINA_SQLX_PREPARE").is_some() {
        return Ok(());
    }
    let queries: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&fs::read_to_string("sqlx-data.json")?)?;
    let directory = Path::new(&env::var("OUT_DIR")?).join("sqlx");
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(&directory)?;
    for (hash, query) in queries {
        fs::write(directory.join(format!("query-{hash}.json")), query.to_string())?;
    }
    println!("cargo:rustc-env=SQLX_OFFLINE=true");
    println!("cargo:rustc-env=SQLX_OFFLINE_DIR={}", directory.display());
    Ok(())
}
