package sagemaker

import (
	"path"
	"strings"

	"loradeck/internal/lora"
)

// layout gives the path under /opt/ml/model of each object below a prefix, in their order. What cannot be laid out is an error,
// as it fails a deployment on SageMaker: markers of folders, names that no file may have, and a key that is both a file and a
// directory (facts §1.9).
func layout(objects []Object, prefix string) ([]string, error) {
	paths := make([]string, len(objects))
	files, dirs := map[string]bool{}, map[string]bool{}
	for i, object := range objects {
		paths[i] = strings.TrimPrefix(object.Key, prefix)
		if paths[i] == "" || strings.HasSuffix(paths[i], "/") {
			return nil, lora.Errorf(lora.Invalid, "Failed to download model data: the object %q marks a folder, as the S3 console makes them, and cannot be a file. Delete it.", object.Key)
		}
		for part := range strings.SplitSeq(paths[i], "/") {
			if why := unusable(part); why != "" {
				return nil, lora.Errorf(lora.Invalid, "Failed to download model data: the key %q cannot be a file: %s.", object.Key, why)
			}
		}
		files[paths[i]] = true
		for dir := path.Dir(paths[i]); dir != "."; dir = path.Dir(dir) {
			dirs[dir] = true
		}
	}
	for i, name := range paths {
		if files[name] && dirs[name] {
			return nil, lora.Errorf(lora.Invalid, "Failed to download model data: %q would be both a file and a directory. Rename the object, or those below it.", objects[i].Key)
		}
	}
	return paths, nil
}

// unusable says why a text can be the name of no file or directory, and "" when it can.
func unusable(name string) string {
	switch {
	case strings.TrimSpace(name) == "":
		return "a part of its path is empty"
	case strings.ContainsRune(name, 0):
		return "a part of its path holds a null byte"
	case len(name) > 255:
		return "a part of its path is longer than 255 bytes"
	case name == "." || name == "..":
		return "a part of its path is " + name
	}
	return ""
}
