package sagemaker

import (
	"context"
	"database/sql"
	"encoding/json"
	"regexp"
	"strings"
)

// modelShape is CreateModel's input as far as it is kept; DescribeModel gives it back.
type modelShape struct {
	ModelName                string
	PrimaryContainer         *containerShape  `json:",omitempty"`
	Containers               []containerShape `json:",omitempty"`
	ExecutionRoleArn         string           `json:",omitempty"`
	EnableNetworkIsolation   *bool            `json:",omitempty"`
	VpcConfig                *vpcShape        `json:",omitempty"`
	InferenceExecutionConfig *executionShape  `json:",omitempty"`
}

type executionShape struct{ Mode string }

type vpcShape struct {
	SecurityGroupIds []string `json:",omitempty"`
	Subnets          []string `json:",omitempty"`
}

type containerShape struct {
	ContainerHostname string            `json:",omitempty"`
	Image             string            `json:",omitempty"`
	Mode              string            `json:",omitempty"`
	ModelDataUrl      string            `json:",omitempty"`
	ModelDataSource   *sourceShape      `json:",omitempty"`
	Environment       map[string]string `json:",omitempty"`
	ModelPackageName  string            `json:",omitempty"`
}

type sourceShape struct {
	S3DataSource *s3Source `json:",omitempty"`
}

type s3Source struct {
	S3Uri             string
	S3DataType        string
	CompressionType   string
	ModelAccessConfig *accessShape `json:",omitempty"`
}

type accessShape struct{ AcceptEula bool }

func (c *checks) vpc(v *vpcShape) {
	if v != nil {
		c.present(len(v.SecurityGroupIds) > 0, "vpcConfig.securityGroupIds")
		c.present(len(v.Subnets) > 0, "vpcConfig.subnets")
	}
}

var (
	roleForm  = regexp.MustCompile(`^arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+$`)
	urlForm   = regexp.MustCompile(`^(https|s3)://([^/]+)/?(.*)$`)
	envForm   = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	imageForm = regexp.MustCompile(`^[\S]+$`)
)

func (c *checks) container(in containerShape, at string) {
	if in.Image != "" && (len(in.Image) > 255 || !imageForm.MatchString(in.Image)) {
		c.fail("'"+in.Image+"'", at+".image", `Member must satisfy regular expression pattern: [\S]+`)
	}
	c.oneOf(in.Mode, at+".mode", "SingleModel", "MultiModel")
	if in.ModelDataUrl != "" && (len(in.ModelDataUrl) > 1024 || !urlForm.MatchString(in.ModelDataUrl)) {
		c.fail("'"+in.ModelDataUrl+"'", at+".modelDataUrl", "Member must satisfy regular expression pattern: (https|s3)://([^/]+)/?(.*)")
	}
	if source := in.ModelDataSource; source != nil && source.S3DataSource != nil {
		where := at + ".modelDataSource.s3DataSource"
		s3 := source.S3DataSource
		c.present(s3.S3Uri != "", where+".s3Uri")
		c.present(s3.S3DataType != "", where+".s3DataType")
		c.present(s3.CompressionType != "", where+".compressionType")
		c.oneOf(s3.S3DataType, where+".s3DataType", "S3Prefix", "S3Object")
		c.oneOf(s3.CompressionType, where+".compressionType", "None", "Gzip")
	}
	total := 0
	for key, value := range in.Environment {
		total += len(key) + len(value)
		if len(key) > 1024 || !envForm.MatchString(key) {
			c.fail("'"+key+"'", at+".environment", "Map keys must satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z_][a-zA-Z0-9_]*]")
		}
		if len(value) > 1024 {
			c.fail("'"+key+"'", at+".environment", "Map value must satisfy constraint: [Member must have length less than or equal to 1024]")
		}
	}
	if len(in.Environment) > 100 || total > 32<<10 {
		c.fail("'…'", at+".environment", "Member must have length less than or equal to 100")
	}
}

func (p *Platform) createModel(ctx context.Context, in struct {
	modelShape
	Tags []tag
}) (any, error) {
	var c checks
	c.name(in.ModelName, "modelName", plainName)
	c.checkTags(in.Tags)
	if in.PrimaryContainer != nil {
		c.container(*in.PrimaryContainer, "primaryContainer")
	}
	for _, container := range in.Containers {
		c.container(container, "containers")
	}
	c.role(in.ExecutionRoleArn, "executionRoleArn")
	c.vpc(in.VpcConfig)
	if err := c.err(); err != nil {
		return nil, err
	}
	containers := in.Containers
	if in.PrimaryContainer != nil {
		containers = append([]containerShape{*in.PrimaryContainer}, containers...)
	}
	if len(containers) == 0 || in.PrimaryContainer != nil && in.Containers != nil {
		return nil, invalid("Exactly one of PrimaryContainer and Containers must be given.")
	}
	for _, container := range containers {
		source := container.ModelDataSource
		if source != nil && source.S3DataSource != nil && source.S3DataSource.S3DataType == "S3Prefix" && !strings.HasSuffix(source.S3DataSource.S3Uri, "/") {
			return nil, invalid("The S3Uri %q of type S3Prefix must end with a forward slash.", source.S3DataSource.S3Uri)
		}
		if source != nil && container.ModelDataUrl != "" {
			return nil, invalid("ModelDataUrl and ModelDataSource exclude each other.")
		}
	}
	arn := p.arn("model", in.ModelName)
	if err := p.createNamed(ctx, "sm_model", "model", in.ModelName, arn, encoded(in.modelShape), in.Tags); err != nil {
		return nil, err
	}
	return struct{ ModelArn string }{arn}, nil
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
	var c checks
	c.name(in.ModelName, "modelName", plainName)
	if err := c.err(); err != nil {
		return nil, err
	}
	var out struct {
		modelShape
		CreationTime moment
		ModelArn     string
	}
	row, err := p.find(ctx, "sm_model", "model", "model", in.ModelName, &out.modelShape)
	out.CreationTime, out.ModelArn = row.created, p.arn("model", row.name)
	return out, err
}

func (p *Platform) listModels(ctx context.Context, in filter) (any, error) {
	in.LastModifiedTimeAfter, in.LastModifiedTimeBefore, in.StatusEquals = nil, nil, "" // ListModels has none of these
	if err := in.check([]string{"Name", "CreationTime"}, nil); err != nil {
		return nil, err
	}
	rows, err := p.store.allNamed(ctx, "sm_model")
	if err != nil {
		return nil, err
	}
	rows, next, err := page(in, rows, func(n named) listed { return listed{Name: n.name, Created: n.created} })
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
	var c checks
	c.name(in.ModelName, "modelName", plainName)
	if err := c.err(); err != nil {
		return nil, err
	}
	row, err := p.find(ctx, "sm_model", "model", "model", in.ModelName, &modelShape{})
	if err != nil {
		return nil, err
	}
	return empty{}, p.store.drop(ctx, "sm_model", row.name, p.arn("model", row.name))
}
