package sagemaker

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
)

// filter is what all list operations take; the service model says which of it each has.
type filter struct {
	sent
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

// token is where a list goes on: behind the last row given, so that rows that come and go meanwhile neither repeat nor hide
// others. It holds for the list that it came from only.
type token struct {
	Last listed
	Of   string
}

// of names the list that a token goes on with: what is listed, how it is filtered and in what order.
func (f filter) of(kind string) string {
	query := f.kept()
	delete(query, "NextToken")
	delete(query, "MaxResults")
	sum := sha256.Sum256([]byte(kind + encoded(query)))
	return hex.EncodeToString(sum[:8])
}

// page gives the rows of a kind that the filter keeps, in order, from its token on, and the token of the next page.
func page[T any](kind string, f filter, rows []T, as func(T) listed) (kept []T, next string, err error) {
	for _, row := range rows {
		if f.keeps(as(row)) {
			kept = append(kept, row)
		}
	}
	slices.SortFunc(kept, func(a, b T) int { return f.compare(as(a), as(b)) })
	if f.NextToken != "" {
		var from token
		text, err := base64.RawURLEncoding.DecodeString(f.NextToken)
		if err != nil || json.Unmarshal(text, &from) != nil || from.Of != f.of(kind) {
			return nil, "", invalid("Invalid NextToken: it comes from no list with these parameters. List again without it.")
		}
		kept = slices.DeleteFunc(kept, func(row T) bool { return f.compare(as(row), from.Last) <= 0 })
	}
	size := 10
	if f.MaxResults != nil {
		size = *f.MaxResults
	}
	if len(kept) > size {
		kept = kept[:size]
		next = base64.RawURLEncoding.EncodeToString([]byte(encoded(token{as(kept[size-1]), f.of(kind)})))
	}
	return kept, next, nil
}
