package daemon

import (
	"os"
	"syscall"
)

// faultFromEnv is for tests of survival: SILO_TEST_FAULT names a step at
// which silod is to die as by kill -9.
func faultFromEnv() func(step string) {
	at := os.Getenv("SILO_TEST_FAULT")
	if at == "" {
		return nil
	}
	return func(step string) {
		if step == at {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
}
