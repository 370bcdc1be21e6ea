package peft

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"loradeck/internal/lora"
)

// ErrNotYet is what an fs.FS that is still being filled gives for bytes that are not here yet, and for a file that may still
// turn up. Inspect keeps it in the troubles it reports: such an adapter is not damaged, only not complete.
var ErrNotYet = errors.New("it is still on its way")

// picker decides what is taken out of an archive. The adapter's root is the shallowest folder that holds one of its files;
// members pass once, so a deeper folder may have been taken before a shallower one turns up, and then loses.
type picker struct {
	into   Sink
	limits ArchiveLimits

	entries  int
	unpacked int64
	names    map[string]bool // of all members, folded: two that differ by case meet on some disks
	taken    []LeftOut       // what was written, to be told of when its folder loses
	out      []LeftOut
	roots    []string // folders at the best depth so far that hold an adapter's file
}

func newPicker(into Sink, limits ArchiveLimits) *picker {
	or := func(value *int64, fallback int64) {
		if *value == 0 {
			*value = fallback
		}
	}
	or(&limits.Unpacked, 16<<30)
	or(&limits.Ratio, 200)
	if limits.Entries == 0 {
		limits.Entries = 10_000
	}
	if limits.Name == 0 {
		limits.Name = 512
	}
	return &picker{into: into, limits: limits, names: map[string]bool{}}
}

// member judges a regular member and reports whether it is to be written, and under which name.
func (p *picker) member(raw string, size int64) (name string, keep bool, err error) {
	if name, err = p.clean(raw); err != nil {
		return "", false, err
	}
	if p.unpacked += size; size < 0 || p.unpacked > p.limits.Unpacked {
		return "", false, tooLarge(p.limits)
	}
	if folded := strings.ToLower(name); p.names[folded] {
		return "", false, lora.Errorf(lora.Invalid, "%s is in the archive twice, so nobody can tell which is meant. Pack the adapter again.", shown(name))
	} else {
		p.names[folded] = true
	}
	dir, base := path.Split(name)
	dir = path.Clean(dir)
	if why := noise(name, base); why != "" {
		p.leave(name, size, why)
		return "", false, nil
	}
	if wanted, why := judge(base, 0); !wanted {
		p.leave(name, size, why)
		return "", false, nil
	}
	if len(p.roots) > 0 && depth(dir) > depth(p.roots[0]) {
		p.leave(name, size, inSubFolder)
		return "", false, nil
	}
	if isAdapterFile(base) {
		p.found(dir)
	}
	p.taken = append(p.taken, LeftOut{Path: name, Size: size})
	return name, true, nil
}

// found notes a folder that holds an adapter's file.
func (p *picker) found(dir string) {
	if len(p.roots) > 0 && depth(dir) < depth(p.roots[0]) {
		p.roots = nil
	}
	if !slices.Contains(p.roots, dir) {
		p.roots = append(p.roots, dir)
	}
}

// end says which folder is the adapter's.
func (p *picker) end() (Unpacked, error) {
	if len(p.roots) == 0 {
		for _, out := range p.out { // an adapter without a config, in the form that is not taken: check says what to do
			if strings.HasPrefix(path.Base(out.Path), "adapter_model.") {
				p.found(path.Dir(out.Path))
			}
		}
	}
	root, err := onlyRoot(p.roots)
	if err != nil {
		return Unpacked{}, err
	}
	for _, t := range p.taken {
		if path.Dir(t.Path) != root {
			t.Why = "outside of the adapter's folder"
			p.out = append(p.out, t)
		}
	}
	for i := range p.out {
		p.out[i].Path = below(root, p.out[i].Path)
	}
	return Unpacked{Root: root, LeftOut: p.out}, nil
}

// mostLeftOut bounds how many members are listed one by one.
const mostLeftOut = 200

func (p *picker) leave(name string, size int64, why string) {
	if len(p.out) < mostLeftOut {
		p.out = append(p.out, LeftOut{Path: name, Size: size, Why: why})
	}
}

// clean refuses names that lead out of the archive or mean different things to different programs, and counts the members.
func (p *picker) clean(raw string) (string, error) {
	if p.entries++; p.entries > p.limits.Entries {
		return "", tooMany(p.limits)
	}
	switch {
	case len(raw) > p.limits.Name:
		return "", hostile(raw, fmt.Sprintf("has a name of more than %d bytes", p.limits.Name))
	case !utf8.ValidString(raw) || strings.ContainsFunc(raw, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "", hostile(raw, "has a name with characters that no file should have")
	case strings.Contains(raw, `\`):
		return "", hostile(raw, "has a backslash in its name")
	case strings.HasPrefix(raw, "/") || len(raw) > 1 && raw[1] == ':':
		return "", hostile(raw, "has an absolute name")
	case slices.Contains(strings.Split(raw, "/"), ".."):
		return "", hostile(raw, "leads out of the archive")
	case path.Clean(raw) == "." && raw != "." && raw != "./":
		return "", hostile(raw, "has no name")
	}
	return path.Clean(raw), nil
}

// Judge says of the files of a dropped folder which ones serving needs, and which folder is the adapter's: the shallowest that
// holds one of its files. Its errors are of kind Invalid when there is none, or two at one depth.
func Judge(files []File) (root string, judged []File, err error) {
	var roots []string
	for _, wanted := range []func(string) bool{isAdapterFile, func(base string) bool { return strings.HasPrefix(base, "adapter_model.") }} {
		for _, f := range files {
			dir := path.Dir(f.Path)
			if !wanted(path.Base(f.Path)) || noise(f.Path, path.Base(f.Path)) != "" || len(roots) > 0 && depth(dir) > depth(roots[0]) {
				continue
			}
			if len(roots) > 0 && depth(dir) < depth(roots[0]) {
				roots = nil
			}
			if !slices.Contains(roots, dir) {
				roots = append(roots, dir)
			}
		}
		if len(roots) > 0 {
			break
		}
	}
	if root, err = onlyRoot(roots); err != nil {
		return "", nil, err
	}
	judged = slices.Clone(files)
	for i := range judged {
		f := &judged[i]
		f.Keep, f.Why = judge(path.Base(f.Path), 0)
		if why := noise(f.Path, path.Base(f.Path)); why != "" {
			f.Keep, f.Why = false, why
		}
		if dir := path.Dir(f.Path); f.Keep && dir != root {
			f.Keep, f.Why = false, "outside of the adapter's folder"
			if depth(dir) > depth(root) {
				f.Why = inSubFolder
			}
		}
	}
	return root, judged, nil
}

const inSubFolder = "in a sub-folder, which SageMaker does not look into"

func onlyRoot(roots []string) (string, error) {
	switch len(roots) {
	case 0:
		return "", noAdapter()
	case 1:
		return roots[0], nil
	}
	slices.Sort(roots)
	named := roots[:min(len(roots), 4)]
	return "", lora.Errorf(lora.Invalid, "There are %s adapters in it: %s. Add one of them.", strconv.Itoa(len(roots)), strings.Join(named, ", "))
}

// noAdapter says that there is nothing that could be an adapter.
func noAdapter() error {
	return lora.Errorf(lora.Invalid, "This is no PEFT adapter: there is neither %s nor adapter_model.* in it. Choose the folder that save_pretrained wrote.", ConfigFile)
}

func isAdapterFile(base string) bool { return base == ConfigFile || base == WeightsFile }

// noise names what systems leave in folders and archives by themselves.
func noise(name, base string) string {
	if strings.HasPrefix(base, "._") || base == ".DS_Store" || base == "Thumbs.db" || base == "desktop.ini" || name == "__MACOSX" || strings.HasPrefix(name, "__MACOSX/") {
		return "left there by the system that packed it"
	}
	return ""
}

func depth(dir string) int {
	if dir == "." {
		return 0
	}
	return strings.Count(dir, "/") + 1
}

// below gives a path as seen from root where it lies below it.
func below(root, name string) string {
	if root == "." {
		return name
	}
	return strings.TrimPrefix(name, root+"/")
}

func hostile(name, what string) error {
	return lora.Errorf(lora.Invalid, "The archive was refused: %s %s. Pack the adapter's files themselves: tar czf adapter.tar.gz -C DIR .", shown(name), what)
}

func tooMany(limits ArchiveLimits) error {
	return lora.Errorf(lora.TooLarge, "The archive has more than %d members. Pack the adapter's own folder.", limits.Entries)
}

func tooLarge(limits ArchiveLimits) error {
	return lora.Errorf(lora.TooLarge, "The archive unpacks to more than %s. Pack the adapter's own folder, without checkpoints.", lora.Bytes(limits.Unpacked))
}

func bomb(limits ArchiveLimits) error {
	return lora.Errorf(lora.TooLarge, "The archive unpacks to more than %d times its size, which weights never do. Pack the adapter again.", limits.Ratio)
}

// shown writes a name so that it can stand in a sentence whatever it holds.
func shown(name string) string {
	if len(name) > 80 {
		name = name[:80] + "…"
	}
	return strconv.QuoteToGraphic(name)
}
