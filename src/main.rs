//! The `koi` command.

#[global_allocator]
static MEMORY: koi::io::memory::Memory = koi::io::memory::Memory;

fn main() -> std::process::ExitCode {
    koi::cli::main()
}
