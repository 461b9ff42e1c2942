// Command whoami prints the name of the effective user.
package main

import (
	"fmt"
	"os"

	"coretools.silo/getopt"
	"coretools.silo/passwd"
)

func main() {
	getopt.Parse("", "whoami", nil)
	fmt.Println(passwd.Load().User(uint32(os.Geteuid())))
}
