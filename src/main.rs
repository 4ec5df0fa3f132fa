//! The command `paulina`.

use std::process::ExitCode;

fn main() -> ExitCode {
    paulina::cli::main()
}
