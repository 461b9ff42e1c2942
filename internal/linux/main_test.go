package linux

import (
	"testing"

	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }
