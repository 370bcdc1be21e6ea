package sagemaker

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"regexp"
	"strings"
	"unicode/utf8"
)

type tag struct {
	Key   string
	Value *string // required, and may be empty
}

const maxTags = 50 // of a call, and of a resource

var tagForm = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

// checkTags holds tags to the limits of facts §1.3.
func (c *checks) checkTags(tags []tag) {
	if len(tags) > maxTags {
		c.fail(fmt.Sprintf("'[%d tags]'", len(tags)), "tags", "Member must have length less than or equal to 50")
	}
	for i, t := range tags {
		key, value := fmt.Sprintf("tags.%d.member.key", i+1), fmt.Sprintf("tags.%d.member.value", i+1)
		switch {
		case t.Key == "":
			c.fail("null", key, "Member must not be null")
		case utf8.RuneCountInString(t.Key) > 128:
			c.fail("'"+t.Key+"'", key, "Member must have length less than or equal to 128")
		case !tagForm.MatchString(t.Key) || strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			c.fail("'"+t.Key+"'", key, `Member must satisfy regular expression pattern: ([\p{L}\p{Z}\p{N}_.:/=+\-@]*)`)
		}
		switch {
		case t.Value == nil:
			c.fail("null", value, "Member must not be null")
		case utf8.RuneCountInString(*t.Value) > 256:
			c.fail("'"+*t.Value+"'", value, "Member must have length less than or equal to 256")
		case !tagForm.MatchString(*t.Value):
			c.fail("'"+*t.Value+"'", value, `Member must satisfy regular expression pattern: ([\p{L}\p{Z}\p{N}_.:/=+\-@]*)`)
		}
	}
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
	var c checks
	c.present(in.ResourceArn != "", "resourceArn")
	c.present(in.Tags != nil, "tags")
	c.checkTags(in.Tags)
	if err := c.err(); err != nil {
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
	MaxResults  *int
}) (any, error) {
	var c checks
	c.present(in.ResourceArn != "", "resourceArn")
	c.between(in.MaxResults, maxTags, math.MaxInt32, "maxResults")
	if err := c.err(); err != nil {
		return nil, err
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
	var c checks
	c.present(in.ResourceArn != "", "resourceArn")
	c.present(in.TagKeys != nil, "tagKeys")
	if in.TagKeys != nil && (len(in.TagKeys) < 1 || len(in.TagKeys) > maxTags) {
		c.fail(fmt.Sprintf("'[%d keys]'", len(in.TagKeys)), "tagKeys", "Member must have length between 1 and 50")
	}
	if err := c.err(); err != nil {
		return nil, err
	}
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
