// Command false does nothing and exits 1. Its entry point is entry in
// entry_ARCH.s, chosen by the linker's -E flag, so the Go runtime never starts:
// the whole life of the process is one system call.
package main

// entry is the first and only code that runs. It takes nothing, as the kernel
// jumps to it.
func entry()

// main keeps entry in the binary; it runs only if the program was linked
// without -E, and then does the same.
func main() { entry() }
