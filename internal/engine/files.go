package engine

import (
	"os"
	"path/filepath"

	"loradeck/internal/lora"
)

// maxText is how long a file that is read whole may be, in bytes. The longest real ones, tokenizer.json of 256k tokens, have 34 MB.
const maxText = 128 << 20

// checkFiles refuses a folder in which one of the files that are read whole is a device, a pipe or endless. One that is not there
// is left to whoever reads it.
func checkFiles(dir string, names ...string) error {
	for _, name := range names {
		info, err := os.Stat(filepath.Join(dir, name))
		if err == nil && (!info.Mode().IsRegular() || info.Size() > maxText) {
			return lora.Errorf(lora.Invalid, "%s is no plain file of at most %d MiB.", name, maxText>>20)
		}
	}
	return nil
}
