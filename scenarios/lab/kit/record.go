package kit

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// recordFile is in each part's folder, written last.
const recordFile = "part.json"

// record is what is remembered of a part that was made.
type record struct {
	Part     string            `json:"part"`
	Key      string            `json:"key"`    // recipe, packages and inputs
	Recipe   string            `json:"recipe"` // fingerprint of the recipe alone
	Version  string            `json:"version"`
	Release  string            `json:"release,omitempty"` // what a kernel calls itself
	Suite    string            `json:"suite,omitempty"`
	Packages []string          `json:"packages,omitempty"` // NAME=VERSION
	Inputs   map[string]string `json:"inputs,omitempty"`   // part to its key
	Bytes    int64             `json:"bytes"`
	Seconds  float64           `json:"seconds"`
	Made     time.Time         `json:"made"`
	Warnings []string          `json:"warnings,omitempty"`
}

// readRecord reads what is remembered of the part in dir; a folder without it
// is no part.
func readRecord(dir string) (*record, error) {
	b, err := os.ReadFile(filepath.Join(dir, recordFile))
	if err != nil {
		return nil, err
	}
	r := &record{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, &os.PathError{Op: "read", Path: filepath.Join(dir, recordFile), Err: err}
	}
	return r, nil
}

func (r *record) write(dir string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, recordFile), append(b, '\n'), 0o644)
}

// folderBytes is the size of all files in dir.
func folderBytes(dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}
