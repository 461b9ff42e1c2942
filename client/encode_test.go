package client

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/network"

	"silo/client/container"
)

// TestEncodeIsJSON encodes random requests and compares what a reader gets
// with what it gets of encoding/json.
func TestEncodeIsJSON(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		for _, v := range []any{&container.CreateRequest{}, &container.UpdateConfig{}, &container.ExecCreateRequest{}} {
			fill(rnd, reflect.ValueOf(v).Elem(), 0)
			if r, ok := v.(*container.CreateRequest); ok && r.Config != nil {
				r.Image = "x" // never empty; nothing set at all would be no Config
			}
			ours, err := appendJSON(nil, reflect.ValueOf(v))
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(read(t, v, theirs), read(t, v, ours)); d != "" {
				t.Fatalf("%s\n%s\n(-encoding/json +ours)\n%s", theirs, ours, d)
			}
		}
	}
}

// read decodes data into a new value like v and shows it; nil and empty lists
// are the same to a reader.
func read(t *testing.T, v any, data []byte) string {
	out := reflect.New(reflect.TypeOf(v).Elem()).Interface()
	if err := json.Unmarshal(data, out); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	text, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// fill sets about half of what a value holds.
func fill(rnd *rand.Rand, v reflect.Value, depth int) {
	if depth > 0 && rnd.IntN(2) == 0 || depth > 6 {
		return
	}
	switch v.Interface().(type) {
	case netip.Addr:
		v.Set(reflect.ValueOf(netip.AddrFrom4([4]byte{10, 0, 0, byte(rnd.IntN(256))})))
		return
	case network.Port:
		p, _ := network.PortFrom(uint16(rnd.IntN(65536)), "udp")
		v.Set(reflect.ValueOf(p))
		return
	case network.HardwareAddr:
		v.Set(reflect.ValueOf(network.HardwareAddr{2, 0, 0, 0, 0, 1}))
		return
	}
	switch v.Kind() {
	case reflect.String:
		words := []string{"a", "", "täglich", "q\"uo\\te", "new\nline\ttab\x01", "<&>\u2028", "no utf8 \xff\xfe"}
		v.SetString(words[rnd.IntN(len(words))])
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(rnd.Int64N(1<<40) - 1<<39)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(rnd.IntN(200)))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(rnd, v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), rnd.IntN(3), 3))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			fill(rnd, v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range rnd.IntN(3) {
			k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(rnd, k, 0)
			fill(rnd, e, depth+1)
			v.SetMapIndex(k, e)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(rnd, v.Field(i), depth+1)
			}
		}
	}
}
