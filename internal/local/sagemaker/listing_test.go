package sagemaker_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"loradeck/internal/local/sagemaker"
)

// rows gives the names that a list answers, and its token.
func (h *house) rows(operation, input string) (names []string, token string) {
	h.t.Helper()
	got := h.raw(operation, input)
	text, ok := strings.CutPrefix(got, "200 ")
	if !ok {
		h.t.Fatalf("%s %s answered %s", operation, input, got)
	}
	var answer map[string]any
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		h.t.Fatal(err)
	}
	for key, value := range answer {
		switch value := value.(type) {
		case string:
			token = value
		case []any:
			for _, row := range value {
				names = append(names, row.(map[string]any)[strings.TrimSuffix(key, "s")+"Name"].(string))
			}
		}
	}
	return names, token
}

// TestListsFilterAndSort asks each list of the four kinds for all that it can be asked for. Things are made a second apart.
func TestListsFilterAndSort(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (&programs{}).run)
	h.close()
	var clock atomic.Int64
	clock.Store(1_800_000_000_000)
	h.now = func() time.Time { return time.UnixMilli(clock.Load()) }
	h.open()
	h.model("m")
	h.endpoint("host")
	for _, name := range []string{"ab", "aa", "b"} {
		clock.Add(1000)
		for operation, body := range map[string]string{
			"CreateModel":          `{"ModelName":"%s","PrimaryContainer":{"Image":"i"}}`,
			"CreateEndpointConfig": `{"EndpointConfigName":"%s","ExecutionRoleArn":"` + role + `","ProductionVariants":[{"VariantName":"main","InstanceType":"ml.m5.xlarge"}]}`,
			"CreateEndpoint":       `{"EndpointName":"%s","EndpointConfigName":"host-config"}`,
		} {
			if got := h.raw(operation, fmt.Sprintf(body, name)); !strings.HasPrefix(got, "200 ") {
				t.Fatal(got)
			}
		}
		h.until("in service", func() bool {
			return strings.Contains(h.raw("DescribeEndpoint", `{"EndpointName":"`+name+`"}`), `"InService"`)
		})
		h.create(baseInput(name, "host", "m"))
	}
	clock.Add(1000)
	h.platform.SetPace(sagemaker.Steady(time.Hour))
	for _, operation := range []string{`DeleteEndpoint {"EndpointName":"aa"}`, `DeleteInferenceComponent {"InferenceComponentName":"aa"}`} {
		name, body, _ := strings.Cut(operation, " ")
		if got := h.raw(name, body); !strings.HasPrefix(got, "200 ") {
			t.Fatal(got)
		}
	}
	lists := []string{"ListModels", "ListEndpointConfigs", "ListEndpoints", "ListInferenceComponents"}
	for _, c := range []struct{ of, input, want string }{
		{"all", `{"NameContains":"a"}`, "aa ab"}, // CreationTime, Descending
		{"all", `{"NameContains":"B","SortOrder":"Ascending"}`, "ab b"},
		{"all", `{"NameContains":"a","SortBy":"Name"}`, "ab aa"},
		{"all", `{"NameContains":"a","SortBy":"Name","SortOrder":"Ascending"}`, "aa ab"},
		{"all", `{"CreationTimeAfter":1800000001,"SortBy":"CreationTime"}`, "b aa"},
		{"all", `{"CreationTimeAfter":1800000001,"CreationTimeBefore":1800000003}`, "aa"},
		{"all", `{"CreationTimeAfter":1800000001,"NameContains":"b"}`, "b"},
		{"moving", `{"CreationTimeAfter":1800000000,"SortBy":"Status","SortOrder":"Ascending"}`, "aa ab b"},
		{"moving", `{"CreationTimeAfter":1800000000,"StatusEquals":"Deleting"}`, "aa"},
		{"moving", `{"LastModifiedTimeAfter":1800000003.5}`, "aa"},
		{"moving", `{"CreationTimeAfter":1800000000,"LastModifiedTimeBefore":1800000002}`, "ab"},
		{"components", `{"EndpointNameEquals":"host","VariantNameEquals":"main","SortBy":"Name","SortOrder":"Ascending"}`, "aa ab b"},
		{"components", `{"EndpointNameEquals":"none"}`, ""},
		{"components", `{"VariantNameEquals":"other"}`, ""},
		// Members that a list does not have are passed over, as any others.
		{"still", `{"CreationTimeAfter":1800000001,"StatusEquals":"Deleting","LastModifiedTimeAfter":1900000000,"EndpointNameEquals":"none"}`, "b aa"},
	} {
		of := map[string][]string{"all": lists, "still": lists[:2], "moving": lists[2:], "components": lists[3:]}[c.of]
		for _, operation := range of {
			if got, _ := h.rows(operation, c.input); strings.Join(got, " ") != c.want {
				t.Errorf("%s %s: %v, want %s", operation, c.input, got, c.want)
			}
		}
	}
	for operation, input := range map[string]string{"ListModels": `{"SortBy":"Status"}`, "ListEndpointConfigs": `{"SortBy":"Status"}`, "ListEndpoints": `{"SortOrder":"Up"}`, "ListInferenceComponents": `{"StatusEquals":"Deleted"}`} {
		if got := h.raw(operation, input); !strings.Contains(got, "Member must satisfy enum value set") {
			t.Errorf("%s %s answered %s", operation, input, got)
		}
	}
}

// TestTokensGoOnWhereTheListWas makes and deletes rows between pages: none comes twice, and none that stayed is missed.
func TestTokensGoOnWhereTheListWas(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (&programs{}).run)
	model := func(name string) {
		if got := h.raw("CreateModel", `{"ModelName":"`+name+`","PrimaryContainer":{"Image":"i"}}`); !strings.HasPrefix(got, "200 ") {
			t.Fatal(got)
		}
	}
	for i := range 25 {
		model(fmt.Sprintf("m-%02d", i))
	}
	const byName = `"SortBy":"Name","SortOrder":"Ascending"`
	names, token := h.rows("ListModels", `{`+byName+`}`)
	if len(names) != 10 || names[0] != "m-00" || token == "" {
		t.Fatalf("a first page of %v, token %q", names, token)
	}
	for _, gone := range []string{"m-03", "m-09", "m-12"} { // one given, the last one given, one to come
		h.raw("DeleteModel", `{"ModelName":"`+gone+`"}`)
	}
	model("m-05a") // behind
	model("m-15a") // ahead
	for token != "" {
		var more []string
		more, token = h.rows("ListModels", `{`+byName+`,"MaxResults":4,"NextToken":"`+token+`"}`) // the size of a page may change
		names = append(names, more...)
	}
	want := []string{}
	for i := range 25 {
		if want = append(want, fmt.Sprintf("m-%02d", i)); i == 15 {
			want = append(want, "m-15a")
		}
	}
	if want = slices.DeleteFunc(want, func(name string) bool { return name == "m-12" }); !slices.Equal(names, want) {
		t.Errorf("pages hold %v, want %v", names, want)
	}

	_, token = h.rows("ListModels", `{`+byName+`}`)
	for rule, input := range map[string]string{
		"a token of another order":   `ListModels {"SortBy":"Name","NextToken":"` + token + `"}`,
		"of another filter":          `ListModels {` + byName + `,"NameContains":"m","NextToken":"` + token + `"}`,
		"of another list":            `ListEndpointConfigs {` + byName + `,"NextToken":"` + token + `"}`,
		"cut":                        `ListModels {` + byName + `,"NextToken":"` + token[:len(token)-4] + `"}`,
		"made up":                    `ListModels {` + byName + `,"NextToken":"AAAA"}`,
		"of tags, which need no one": `ListTags {"ResourceArn":"arn:aws:sagemaker:us-east-1:000000000000:model/m-00","NextToken":"` + token + `"}`,
	} {
		operation, body, _ := strings.Cut(input, " ")
		if got := h.raw(operation, body); !strings.HasPrefix(got, `400 {"__type":"ValidationException"`) || !strings.Contains(got, "NextToken") {
			t.Errorf("%s: %s", rule, got)
		}
	}
	for input, size := range map[string]int{`{"MaxResults":1}`: 1, `{"MaxResults":100}`: 24, `{}`: 10} {
		if names, _ := h.rows("ListModels", input); len(names) != size {
			t.Errorf("%s gives %d", input, len(names))
		}
	}
	for _, input := range []string{`{"MaxResults":0}`, `{"MaxResults":101}`} {
		if got := h.raw("ListModels", input); !strings.Contains(got, "at 'maxResults' failed") {
			t.Errorf("%s answered %s", input, got)
		}
	}
}

// TestTagsBelongToTheirResource walks tags of the four kinds from creation on until the resource has gone and come again.
func TestTagsBelongToTheirResource(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (&programs{}).run)
	h.model("m")
	h.endpoint("e")
	const arns = "arn:aws:sagemaker:us-east-1:000000000000:"
	const tags = `"Tags":[{"Key":"a","Value":"1"},{"Key":"b","Value":""}]`
	for _, kind := range []struct{ arn, create, body, delete, name string }{
		{"model/T", "CreateModel", `{"ModelName":"T","PrimaryContainer":{"Image":"i"},` + tags + `}`, "DeleteModel", `{"ModelName":"T"}`},
		{"endpoint-config/T", "CreateEndpointConfig", `{"EndpointConfigName":"T","ExecutionRoleArn":"` + role + `","ProductionVariants":[{"VariantName":"main","InstanceType":"ml.m5.xlarge"}],` + tags + `}`, "DeleteEndpointConfig", `{"EndpointConfigName":"T"}`},
		{"endpoint/T", "CreateEndpoint", `{"EndpointName":"T","EndpointConfigName":"e-config",` + tags + `}`, "DeleteEndpoint", `{"EndpointName":"T"}`},
		{"inference-component/T", "CreateInferenceComponent", `{"InferenceComponentName":"T","EndpointName":"e","VariantName":"main","RuntimeConfig":{"CopyCount":1},"Specification":{"ModelName":"m","ComputeResourceRequirements":{"MinMemoryRequiredInMb":128}},` + tags + `}`, "DeleteInferenceComponent", `{"InferenceComponentName":"T"}`},
	} {
		describe := strings.Replace(kind.delete, "Delete", "Describe", 1)
		step := func(operation, body, want string) {
			t.Helper()
			if got := h.raw(operation, body); !strings.Contains(got, want) {
				t.Errorf("%s of %s answered %s, want %s", operation, kind.arn, got, want)
			}
		}
		settled := func() {
			h.until(kind.arn+" settled", func() bool { got := h.raw(describe, kind.name); return !strings.Contains(got, `"Creating"`) })
		}
		arn := `{"ResourceArn":"` + arns + kind.arn + `"`
		step(kind.create, kind.body, "200 ")
		settled()
		step("ListTags", arn+`}`, `200 {"Tags":[{"Key":"a","Value":"1"},{"Key":"b","Value":""}]}`)
		step("AddTags", arn+`,"Tags":[{"Key":"b","Value":"2"},{"Key":"c","Value":"3"}]}`, `{"Tags":[{"Key":"a","Value":"1"},{"Key":"b","Value":"2"},{"Key":"c","Value":"3"}]}`)
		step("DeleteTags", arn+`,"TagKeys":["a","none"]}`, "200 {}")
		step("ListTags", strings.Replace(arn, "/T", "/t", 1)+`}`, `{"Tags":[{"Key":"b","Value":"2"},{"Key":"c","Value":"3"}]}`) // as it is answered
		step(kind.delete, kind.name, "200 ")
		h.until(kind.arn+" gone", func() bool { return strings.Contains(h.raw(describe, kind.name), "Could not find") })
		step("ListTags", arn+`}`, "Could not find resource")
		step(kind.create, strings.Replace(kind.body, tags, `"Tags":[]`, 1), "200 ")
		settled()
		step("ListTags", arn+`}`, `200 {"Tags":[]}`)
	}
}
