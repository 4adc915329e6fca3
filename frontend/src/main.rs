//! The console's entry point in the browser: mounts the application and nothing else.

fn main() {
    portolan_console::mount();
}
