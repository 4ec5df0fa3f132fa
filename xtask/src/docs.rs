//! The generated parts of docs/: `docs/openapi.json`, and in the Markdown files each part between the lines
//! `<!-- generated: COMMAND -->` and `<!-- end -->`, which is what `paulina COMMAND` prints.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const BEGIN: &str = "<!-- generated: ";
const END: &str = "<!-- end -->";

/// Writes the generated parts, or with `check` reports those that are stale.
pub(super) fn generate(check: bool) -> Result<String, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("xtask has no parent folder")?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let program = target.join("debug/paulina");
    if !program.exists() {
        return Err(format!("{} is missing: run `cargo build`", program.display()).into());
    }
    let mut files = vec![(root.join("docs/openapi.json"), output(&program, "openapi")?)];
    for entry in fs::read_dir(root.join("docs"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let text = regenerate(&program, &path)?;
            files.push((path, text));
        }
    }
    let mut stale = Vec::new();
    for (path, text) in &files {
        if fs::read_to_string(path).unwrap_or_default() != *text {
            stale.push(path.strip_prefix(root)?.display().to_string());
            if !check {
                fs::write(path, text)?;
            }
        }
    }
    match (&stale[..], check) {
        ([], _) => Ok("the generated parts of docs/ are fresh".to_owned()),
        (stale, false) => Ok(format!("wrote {}", stale.join(", "))),
        (stale, true) => Err(format!(
            "stale: {}; run `cargo build && cargo xtask docs` and commit the result",
            stale.join(", ")
        )
        .into()),
    }
}

/// Returns the text of a file with its generated parts made again.
fn regenerate(program: &Path, path: &Path) -> Result<String, Box<dyn Error>> {
    let old = fs::read_to_string(path)?;
    let (mut new, mut rest) = (String::with_capacity(old.len()), old.as_str());
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (command, after) = after.split_once(" -->\n").ok_or("a generated part has no command")?;
        let (_, after) = after.split_once(END).ok_or_else(|| format!("{}: no {END}", path.display()))?;
        let part = output(program, command)?;
        write!(new, "{before}{BEGIN}{command} -->\n\n{}\n\n{END}", part.trim())?;
        rest = after;
    }
    new.push_str(rest);
    Ok(new)
}

fn output(program: &Path, command: &str) -> Result<String, Box<dyn Error>> {
    let output = Command::new(program).args(command.split(' ')).output()?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("`paulina {command}` failed: {error}").into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
