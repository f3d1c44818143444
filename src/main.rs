//! The `koi` command.

fn main() -> std::process::ExitCode {
    koi::cli::main()
}
