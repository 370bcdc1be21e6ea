package sagemaker

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
)

// filter is what all list operations take.
type filter struct {
	SortBy             string
	SortOrder          string
	NextToken          string
	MaxResults         *int
	NameContains       string
	CreationTimeBefore *moment
	CreationTimeAfter  *moment

	LastModifiedTimeBefore *moment
	LastModifiedTimeAfter  *moment
	StatusEquals           string
}

// listed is a row as lists order and filter it.
type listed struct {
	Name     string
	Created  moment
	Modified moment
	Status   string
}

func (f filter) keeps(l listed) bool {
	before := func(bound *moment, at moment) bool { return bound == nil || at < *bound }
	after := func(bound *moment, at moment) bool { return bound == nil || at > *bound }
	return (f.NameContains == "" || strings.Contains(strings.ToLower(l.Name), strings.ToLower(f.NameContains))) &&
		before(f.CreationTimeBefore, l.Created) && after(f.CreationTimeAfter, l.Created) &&
		before(f.LastModifiedTimeBefore, l.Modified) && after(f.LastModifiedTimeAfter, l.Modified) &&
		(f.StatusEquals == "" || f.StatusEquals == l.Status)
}

func (f filter) compare(a, b listed) int {
	var order int
	switch f.SortBy {
	case "Name":
	case "Status":
		order = cmp.Compare(a.Status, b.Status)
	default:
		order = cmp.Compare(a.Created, b.Created)
	}
	order = cmp.Or(order, cmp.Compare(a.Name, b.Name))
	if f.SortOrder != "Ascending" { // SageMaker's default is Descending
		return -order
	}
	return order
}

// page gives the rows that the filter keeps, in order, from its token on, and the token of the next page. The token holds the
// last row given, so rows that come and go meanwhile neither repeat nor hide others.
func page[T any](f filter, rows []T, as func(T) listed) (kept []T, next string, err error) {
	for _, row := range rows {
		if f.keeps(as(row)) {
			kept = append(kept, row)
		}
	}
	slices.SortFunc(kept, func(a, b T) int { return f.compare(as(a), as(b)) })
	if f.NextToken != "" {
		var last listed
		text, err := base64.RawURLEncoding.DecodeString(f.NextToken)
		if err != nil || json.Unmarshal(text, &last) != nil {
			return nil, "", invalid("Invalid NextToken.")
		}
		kept = slices.DeleteFunc(kept, func(row T) bool { return f.compare(as(row), last) <= 0 })
	}
	size := 10
	if f.MaxResults != nil {
		size = *f.MaxResults
	}
	if len(kept) > size {
		kept = kept[:size]
		next = base64.RawURLEncoding.EncodeToString([]byte(encoded(as(kept[size-1]))))
	}
	return kept, next, nil
}
