package local

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"loradeck/internal/lora"
)

const (
	maxPut  = 5 << 30 // bytes that S3 takes in one piece
	putPart = 1 << 30 // bytes of each piece of a larger file
	// markHeader keeps when a file was changed, so that the next start need not read it to see that it is the same.
	markHeader = "x-amz-meta-loradeck-modified"
)

// modelFiles are the files of a Hugging Face directory that serving needs: what engine and tokenizer read, and the weights when
// those are wanted. Copies in other formats, pictures and what a trainer left stay where they are. Links are followed: the hub's
// cache is made of them.
func modelFiles(dir fs.FS, weights bool) ([]string, error) {
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		name := entry.Name()
		about, err := fs.Stat(dir, name)
		if err != nil {
			return nil, err
		}
		if about.Mode().IsRegular() && served(name, weights) {
			names = append(names, name)
		}
	}
	return names, nil
}

func served(name string, weights bool) bool {
	if strings.HasPrefix(name, ".") {
		return false
	}
	switch path.Ext(name) {
	case ".json":
		return weights || name != weightIndex
	case ".jinja", ".model":
		return true
	case ".txt":
		return name == "merges.txt" || name == "vocab.txt"
	case ".safetensors":
		return weights && strings.HasPrefix(name, "model")
	}
	return false
}

// The weights of a Hugging Face directory: one file, or parts with an index.
const (
	weightFile  = "model.safetensors"
	weightIndex = "model.safetensors.index.json"
)

// checkModel makes sure that a directory can hold a base before anything is copied. Its error says what to do.
func checkModel(name, shown string, dir fs.FS, weights bool) error {
	has := func(file string) bool {
		about, err := fs.Stat(dir, file)
		return err == nil && about.Mode().IsRegular()
	}
	_, err := fs.ReadDir(dir, ".")
	switch {
	case err != nil:
		return lora.Wrap(err, lora.Invalid, "The base %s is to come from %s, which is no folder that can be read. Name the one that holds its config.json.", name, shown)
	case !has("config.json") && has("adapter_config.json"):
		return lora.Errorf(lora.Invalid, "%s holds an adapter and no base. Send it with loradeck push, and name the folder of its base for %s.", shown, name)
	case !has("config.json"):
		return lora.Errorf(lora.Invalid, "The base %s is to come from %s, which has no config.json. Name a Hugging Face folder: config.json, tokenizer.json and model.safetensors.", name, shown)
	case !weights:
		return nil
	case !has("tokenizer.json"):
		return lora.Errorf(lora.Invalid, "The base %s has no tokenizer.json in %s. Save its tokenizer there: AutoTokenizer.from_pretrained(…).save_pretrained(…) writes one.", name, shown)
	case !has(weightFile) && !has(weightIndex):
		return lora.Errorf(lora.Invalid, "The base %s has neither %s nor %s in %s. Save the model there as safetensors: save_pretrained(…, safe_serialization=True) does.", name, weightFile, weightIndex, shown)
	}
	return nil
}

// file is one file on its way into a bucket.
type file struct {
	key  string
	size int64
	mark string // tells one state of it from another
	open func() (io.ReadCloser, error)
}

// filesOf describes the named files of a directory as they are to lie below a prefix.
func filesOf(dir fs.FS, prefix string, names []string) ([]file, error) {
	files := make([]file, len(names))
	for i, name := range names {
		about, err := fs.Stat(dir, name)
		if err != nil {
			return nil, err
		}
		files[i] = file{
			key: prefix + name, size: about.Size(), mark: strconv.FormatInt(about.ModTime().UnixNano(), 10),
			open: func() (io.ReadCloser, error) { return dir.Open(name) },
		}
	}
	return files, nil
}

// stale gives the files that the bucket has otherwise or not at all, and the keys below the prefix that are none of them.
func (c client) stale(ctx context.Context, bucket, prefix string, files []file) (missing []file, extra []string, err error) {
	there, err := c.server.objects.List(ctx, bucket, prefix)
	if lora.KindOf(err) == lora.NotFound {
		return files, nil, nil // not even the bucket
	}
	if err != nil {
		return nil, nil, err
	}
	for _, f := range files {
		got, err := c.ask(ctx, http.MethodHead, objectPath(bucket, f.key), "s3", "", nil)
		if err != nil {
			return nil, nil, err
		}
		if got.status != http.StatusOK || got.header.Get("Content-Length") != strconv.FormatInt(f.size, 10) || !slices.Equal(got.header[markHeader], []string{f.mark}) {
			missing = append(missing, f)
		}
	}
	for _, o := range there {
		if !slices.ContainsFunc(files, func(f file) bool { return f.key == o.Key }) {
			extra = append(extra, o.Key)
		}
	}
	return missing, extra, nil
}

// put sends a file, in pieces when it is larger than S3 takes at once. It is read as it is sent.
func (c client) put(ctx context.Context, bucket string, f file) error {
	body, err := f.open()
	if err != nil {
		return err
	}
	defer body.Close()
	if f.size > maxPut {
		return c.putParts(ctx, bucket, f, body, putPart)
	}
	got, err := c.stream(ctx, http.MethodPut, objectPath(bucket, f.key), body, f.size, f.mark)
	if err != nil {
		return err
	}
	return good("put "+f.key, got)
}

func (c client) putParts(ctx context.Context, bucket string, f file, body io.Reader, part int64) error {
	to := objectPath(bucket, f.key)
	got, err := c.stream(ctx, http.MethodPost, to+"?uploads", nil, 0, f.mark)
	if err != nil {
		return err
	}
	var upload struct{ UploadId string }
	if err := xml.Unmarshal(got.body.Bytes(), &upload); err != nil || got.status != http.StatusOK {
		return fmt.Errorf("begin %s: %d: %s", f.key, got.status, got.body.Bytes())
	}
	id := url.Values{"uploadId": {upload.UploadId}}.Encode()
	list := "<CompleteMultipartUpload>"
	for number, left := 1, f.size; left > 0; number++ {
		size := min(left, part)
		got, err := c.stream(ctx, http.MethodPut, fmt.Sprintf("%s?partNumber=%d&%s", to, number, id), io.LimitReader(body, size), size, "")
		if err == nil {
			err = good(fmt.Sprintf("put part %d of %s", number, f.key), got)
		}
		if err != nil {
			_, _ = c.stream(context.WithoutCancel(ctx), http.MethodDelete, to+"?"+id, nil, 0, "") // the next start begins anew
			return err
		}
		list += fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", number, got.header.Get("Etag"))
		left -= size
	}
	list += "</CompleteMultipartUpload>"
	if got, err = c.stream(ctx, http.MethodPost, to+"?"+id, strings.NewReader(list), int64(len(list)), ""); err != nil {
		return err
	}
	return good("finish "+f.key, got)
}

func good(what string, got *answer) error {
	if got.status/100 != 2 {
		return fmt.Errorf("%s: %d: %s", what, got.status, got.body.Bytes())
	}
	return nil
}

func objectPath(bucket, key string) string {
	return (&url.URL{Path: "/" + bucket + "/" + key}).EscapedPath()
}
