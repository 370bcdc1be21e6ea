package sagemaker

import (
	"context"
	"database/sql"
	"strings"
)

type tag struct{ Key, Value string }

const maxTags = 50 // of a resource; a call has no more either

// checkTags holds tags to what the service model only says in words: keys are unique, and those of AWS are its own.
func checkTags(tags []tag) error {
	given := map[string]bool{}
	for _, t := range tags {
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return invalid("The tag key %q begins with aws:, which is reserved for AWS.", t.Key)
		}
		if given[t.Key] {
			return invalid("Tag keys must be unique; %q is given more than once.", t.Key)
		}
		given[t.Key] = true
	}
	return nil
}

// resource checks that an ARN names something that is here, and gives it as its tags are kept: names in ARNs are in lower case.
func (p *Platform) resource(ctx context.Context, arn string) (string, error) {
	rest, here := strings.CutPrefix(arn, "arn:aws:sagemaker:"+p.config.Region+":"+p.config.Account+":")
	kind, name, _ := strings.Cut(rest, "/")
	if !here {
		kind = "" // of another place
	}
	var found bool
	var err error
	switch kind {
	case "endpoint":
		_, found, err = p.store.endpoint(ctx, name)
	case "inference-component":
		_, found, err = p.store.component(ctx, name)
	case "endpoint-config":
		_, found, err = p.store.getNamed(ctx, "sm_endpoint_config", name)
	case "model":
		_, found, err = p.store.getNamed(ctx, "sm_model", name)
	}
	if err == nil && !found {
		return "", invalid("Could not find resource %q.", arn)
	}
	return p.arn(kind, name), err
}

func (p *Platform) addTags(ctx context.Context, in struct {
	ResourceArn string
	Tags        []tag
}) (any, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	var arn string
	err := p.store.write(ctx, func(tx *sql.Tx) (err error) {
		// Asked while nobody else writes: a resource that goes meanwhile would leave its tags to the next of its name.
		if arn, err = p.resource(ctx, in.ResourceArn); err != nil {
			return err
		}
		if err := putTags(ctx, tx, arn, in.Tags); err != nil {
			return err
		}
		var count int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sm_tag WHERE arn = ?", arn).Scan(&count); err != nil {
			return err
		}
		if count > maxTags { // the limit is AWS's, the words are a belief
			return invalid("Resource %q would have %d tags; at most %d are allowed.", arn, count, maxTags)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	tags, err := p.store.tags(ctx, arn)
	if tags == nil {
		tags = []tag{}
	}
	return struct{ Tags []tag }{tags}, err
}

func (p *Platform) listTags(ctx context.Context, in struct {
	ResourceArn string
	NextToken   string
}) (any, error) {
	if in.NextToken != "" {
		return nil, invalid("Invalid NextToken: all tags of a resource come on one page, so there is no other.")
	}
	arn, err := p.resource(ctx, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	tags, err := p.store.tags(ctx, arn) // at most 50, and a page has no fewer: always one page
	if tags == nil {
		tags = []tag{}
	}
	return struct{ Tags []tag }{tags}, err
}

func (p *Platform) deleteTags(ctx context.Context, in struct {
	ResourceArn string
	TagKeys     []string
}) (any, error) {
	arn, err := p.resource(ctx, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return empty{}, p.store.write(ctx, func(tx *sql.Tx) error {
		for _, key := range in.TagKeys {
			if _, err := tx.ExecContext(ctx, "DELETE FROM sm_tag WHERE arn = ? AND key = ?", arn, key); err != nil {
				return err
			}
		}
		return nil
	})
}
