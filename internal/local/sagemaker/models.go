package sagemaker

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
)

// modelShape is what is read of a model; all of what CreateModel was sent is kept, and DescribeModel gives it back.
type modelShape struct {
	ModelName        string
	PrimaryContainer *containerShape
	Containers       []containerShape
}

// containers are the model's, however they were given.
func (m modelShape) containers() []containerShape {
	if m.PrimaryContainer != nil {
		return append([]containerShape{*m.PrimaryContainer}, m.Containers...)
	}
	return m.Containers
}

type containerShape struct {
	Image                      string
	ModelPackageName           string
	ModelDataUrl               string
	ModelDataSource            *sourceShape
	AdditionalModelDataSources []sourceShape
	Environment                map[string]string
}

type sourceShape struct {
	S3DataSource *s3Source
}

type s3Source struct {
	S3Uri           string
	S3DataType      string
	CompressionType string
}

func (p *Platform) createModel(ctx context.Context, in struct {
	sent
	modelShape
	Tags []tag
}) (any, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if (in.PrimaryContainer == nil) == (len(in.Containers) == 0) {
		return nil, invalid("Exactly one of PrimaryContainer and Containers must be given.")
	}
	environment := 0
	for _, c := range in.containers() {
		for name, value := range c.Environment {
			environment += len(name) + len(value)
		}
		if err := c.check(); err != nil {
			return nil, err
		}
	}
	if environment > maxEnvironment {
		return nil, invalid("The environments of the containers of model %q hold %d bytes; at most %d are allowed.", in.ModelName, environment, maxEnvironment)
	}
	kept := in.kept()
	kept.unless("EnableNetworkIsolation", false)
	for _, c := range append(kept.list("Containers"), kept.within("PrimaryContainer")) {
		if c != nil {
			c.unless("Mode", "SingleModel")
		}
	}
	arn := p.arn("model", in.ModelName)
	if err := p.createNamed(ctx, "sm_model", "model", in.ModelName, arn, encoded(kept), in.Tags); err != nil {
		return nil, err
	}
	return struct{ ModelArn string }{arn}, nil
}

const maxEnvironment = 32 << 10 // bytes of all names and values of a model (facts §1.3)

// check holds a container to what the service model only says in words (facts §1.9). How AWS words these refusals is not known.
func (c containerShape) check() error {
	switch {
	case c.Image == "" && c.ModelPackageName == "":
		return invalid("A container must have an Image or a ModelPackageName.")
	case c.ModelDataUrl != "" && c.ModelDataSource != nil:
		return invalid("ModelDataUrl and ModelDataSource exclude each other.")
	}
	sources := c.AdditionalModelDataSources
	if c.ModelDataSource != nil {
		sources = append(sources, *c.ModelDataSource)
	}
	for _, source := range sources {
		s3 := source.S3DataSource
		switch {
		case s3 == nil || s3.S3DataType != "S3Prefix":
		case !strings.HasSuffix(s3.S3Uri, "/"):
			return invalid("The S3Uri %q of type S3Prefix must end with a forward slash.", s3.S3Uri)
		case s3.CompressionType == "Gzip":
			return invalid("CompressionType Gzip goes with S3DataType S3Object only; %q is an S3Prefix.", s3.S3Uri)
		}
	}
	return nil
}

// createNamed stores a model or an endpoint config under a name that must be free.
func (p *Platform) createNamed(ctx context.Context, table, what, name, arn, body string, tags []tag) error {
	return p.store.write(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, "INSERT INTO "+table+" (name, body, created_at) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING", name, body, p.now())
		if err != nil {
			return err
		}
		if rows, err := result.RowsAffected(); err != nil || rows == 0 {
			return unlessNil(err, invalid("Cannot create already existing %s %q.", what, arn))
		}
		return putTags(ctx, tx, arn, tags)
	})
}

func unlessNil(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// find reads a model or an endpoint config that must be there.
func (p *Platform) find(ctx context.Context, table, what, kind, name string, into any) (named, error) {
	row, found, err := p.store.getNamed(ctx, table, name)
	if err != nil {
		return row, err
	}
	if !found {
		return row, invalid("Could not find %s %q.", what, p.arn(kind, name))
	}
	return row, json.Unmarshal([]byte(row.body), into)
}

func (p *Platform) describeModel(ctx context.Context, in struct{ ModelName string }) (any, error) {
	var kept document
	row, err := p.find(ctx, "sm_model", "model", "model", in.ModelName, &kept)
	if err != nil {
		return nil, err
	}
	out := p.service.answer("DescribeModel", kept)
	out["ModelArn"], out["CreationTime"] = p.arn("model", row.name), row.created
	return out, nil
}

func (p *Platform) listModels(ctx context.Context, in filter) (any, error) {
	rows, err := p.store.allNamed(ctx, "sm_model")
	if err != nil {
		return nil, err
	}
	rows, next, err := page("model", in, rows, func(n named) listed { return listed{Name: n.name, Created: n.created} })
	type summary struct {
		ModelName, ModelArn string
		CreationTime        moment
	}
	out := struct {
		Models    []summary
		NextToken string `json:",omitempty"`
	}{Models: []summary{}, NextToken: next}
	for _, row := range rows {
		out.Models = append(out.Models, summary{row.name, p.arn("model", row.name), row.created})
	}
	return out, err
}

func (p *Platform) deleteModel(ctx context.Context, in struct{ ModelName string }) (any, error) {
	row, err := p.find(ctx, "sm_model", "model", "model", in.ModelName, &modelShape{})
	if err != nil {
		return nil, err
	}
	return empty{}, p.store.drop(ctx, "sm_model", row.name, p.arn("model", row.name))
}
