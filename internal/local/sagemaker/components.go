package sagemaker

import (
	"context"
	"database/sql"
	"encoding/json"
	"regexp"
)

// componentShape is what is kept of CreateInferenceComponent's input.
type componentShape struct {
	Specification *specification `json:",omitempty"`
	RuntimeConfig *copies        `json:",omitempty"`
}

type specification struct {
	ModelName                   string         `json:",omitempty"`
	Container                   *specContainer `json:",omitempty"`
	StartupParameters           *startup       `json:",omitempty"`
	ComputeResourceRequirements *compute       `json:",omitempty"`
	BaseInferenceComponentName  string         `json:",omitempty"`
	DataCacheConfig             *dataCache     `json:",omitempty"`
}

type specContainer struct {
	Image       string            `json:",omitempty"`
	ArtifactUrl string            `json:",omitempty"`
	Environment map[string]string `json:",omitempty"`
}

type startup struct {
	ModelDataDownloadTimeoutInSeconds           *int `json:",omitempty"`
	ContainerStartupHealthCheckTimeoutInSeconds *int `json:",omitempty"`
}

type compute struct {
	NumberOfCpuCoresRequired           *float64 `json:",omitempty"`
	NumberOfAcceleratorDevicesRequired *float64 `json:",omitempty"`
	MinMemoryRequiredInMb              *int     `json:",omitempty"`
	MaxMemoryRequiredInMb              *int     `json:",omitempty"`
}

type dataCache struct{ EnableCaching *bool }

type copies struct{ CopyCount *int }

// s3Form is where an artifact lies.
var s3Form = regexp.MustCompile(`^(https|s3)://([^/]+)/?(.*)$`)

func (p *Platform) createComponent(ctx context.Context, in struct {
	componentShape
	InferenceComponentName string
	EndpointName           string
	VariantName            string
	Tags                   []tag
}) (any, error) {
	var c checks
	c.name(in.InferenceComponentName, "inferenceComponentName", plainName)
	c.name(in.EndpointName, "endpointName", endpointName)
	c.checkTags(in.Tags)
	c.specification(in.Specification)
	if in.RuntimeConfig != nil {
		c.present(in.RuntimeConfig.CopyCount != nil, "runtimeConfig.copyCount")
		c.between(in.RuntimeConfig.CopyCount, 0, 1<<30, "runtimeConfig.copyCount")
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	row := componentRow{name: in.InferenceComponentName, variant: in.VariantName, status: creating, created: p.now()}
	row.modified = row.created
	if in.Specification == nil {
		return nil, invalid("Specification must be given for inference component %q.", in.InferenceComponentName)
	}
	if err := p.place(ctx, &row, in.EndpointName, in.VariantName); err != nil {
		return nil, err
	}
	kind := p.asBase
	if in.Specification.BaseInferenceComponentName != "" {
		kind = p.asAdapter
	}
	if err := kind(ctx, &row, &in.componentShape, in.VariantName); err != nil {
		return nil, err
	}
	row.body = encoded(in.componentShape)
	arn := p.arn("inference-component", row.name)
	if err := p.insertComponent(ctx, row, arn, in.Tags); err != nil {
		return nil, err
	}
	p.launch(row)
	return struct{ InferenceComponentArn string }{arn}, nil
}

func (c *checks) specification(s *specification) {
	if s == nil {
		return
	}
	if s.ModelName != "" {
		c.name(s.ModelName, "specification.modelName", plainName)
	}
	if s.BaseInferenceComponentName != "" {
		c.name(s.BaseInferenceComponentName, "specification.baseInferenceComponentName", plainName)
	}
	if s.Container != nil && s.Container.ArtifactUrl != "" && (len(s.Container.ArtifactUrl) > 1024 || !s3Form.MatchString(s.Container.ArtifactUrl)) {
		c.fail("'"+s.Container.ArtifactUrl+"'", "specification.container.artifactUrl", "Member must satisfy regular expression pattern: (https|s3)://([^/]+)/?(.*)")
	}
	if s.StartupParameters != nil {
		c.between(s.StartupParameters.ModelDataDownloadTimeoutInSeconds, 60, 3600, "specification.startupParameters.modelDataDownloadTimeoutInSeconds")
		c.between(s.StartupParameters.ContainerStartupHealthCheckTimeoutInSeconds, 60, 3600, "specification.startupParameters.containerStartupHealthCheckTimeoutInSeconds")
	}
	if s.ComputeResourceRequirements != nil {
		const at = "specification.computeResourceRequirements."
		c.atLeast(s.ComputeResourceRequirements.NumberOfCpuCoresRequired, 0.25, at+"numberOfCpuCoresRequired")
		c.atLeast(s.ComputeResourceRequirements.NumberOfAcceleratorDevicesRequired, 1, at+"numberOfAcceleratorDevicesRequired")
		c.present(s.ComputeResourceRequirements.MinMemoryRequiredInMb != nil, at+"minMemoryRequiredInMb")
		c.between(s.ComputeResourceRequirements.MinMemoryRequiredInMb, 128, 1<<30, at+"minMemoryRequiredInMb")
		c.between(s.ComputeResourceRequirements.MaxMemoryRequiredInMb, 128, 1<<30, at+"maxMemoryRequiredInMb")
	}
	if s.DataCacheConfig != nil {
		c.present(s.DataCacheConfig.EnableCaching != nil, "specification.dataCacheConfig.enableCaching")
	}
}

// place checks that the endpoint can host components.
func (p *Platform) place(ctx context.Context, row *componentRow, endpoint, variant string) error {
	e, variants, err := p.findEndpoint(ctx, endpoint)
	if err != nil {
		return err
	}
	if e.status != inService {
		return invalid("Cannot create inference component %q on endpoint %q while it is %s.", p.arn("inference-component", row.name), p.arn("endpoint", e.name), e.status)
	}
	row.endpoint = e.name
	for _, v := range variants {
		if v.ModelName != "" {
			return invalid("Inference Components are not supported in this Endpoint. Please make sure this endpoint can deploy inference components.")
		}
		if variant == v.VariantName {
			return nil
		}
	}
	if variant != "" {
		return invalid("Could not find variant %q on endpoint %q.", variant, p.arn("endpoint", e.name))
	}
	return nil
}

// asBase checks what an ordinary component must have (facts §1.4).
func (p *Platform) asBase(ctx context.Context, row *componentRow, in *componentShape, variant string) error {
	s := in.Specification
	switch {
	case variant == "":
		return invalid("VariantName must be given for inference component %q.", row.name)
	case (s.ModelName == "") == (s.Container == nil):
		return invalid("Exactly one of ModelName and Container must be given for inference component %q.", row.name)
	case s.ModelName == "":
		// The local platform finds the model's files through a Model; SageMaker would take an image and an artifact here too.
		return invalid("The local platform runs base components from a Model: give ModelName.")
	case s.ComputeResourceRequirements == nil:
		return invalid("ComputeResourceRequirements must be given for inference component %q.", row.name)
	case in.RuntimeConfig == nil || *in.RuntimeConfig.CopyCount < 1:
		return invalid("RuntimeConfig.CopyCount must be at least 1 for inference component %q.", row.name)
	}
	_, err := p.find(ctx, "sm_model", "model", "model", s.ModelName, &modelShape{})
	return err
}

// asAdapter checks what an adapter component must and must not have (facts §1.4).
func (p *Platform) asAdapter(ctx context.Context, row *componentRow, in *componentShape, variant string) error {
	s := in.Specification
	base, found, err := p.store.component(ctx, s.BaseInferenceComponentName)
	switch {
	case err != nil:
		return err
	case !found:
		return invalid("Could not find inference component %q.", p.arn("inference-component", s.BaseInferenceComponentName))
	case base.base != "":
		return invalid("Inference component %q is an adapter and cannot be the base of another.", base.name)
	case base.endpoint != row.endpoint:
		return invalid("The base inference component %q is not on endpoint %q.", base.name, row.endpoint)
	case base.status != inService:
		return invalid("The base inference component %q is %s and not InService.", base.name, base.status)
	case variant != "":
		return invalid("VariantName must not be given for an inference component with a base: it is that of the base.")
	case s.ModelName != "" || s.Container == nil || s.Container.ArtifactUrl == "":
		return invalid("An inference component with a base takes Container.ArtifactUrl and no ModelName.")
	case s.Container.Image != "" || len(s.Container.Environment) > 0:
		return invalid("An inference component with a base takes neither image nor environment: they are those of the base.")
	case s.ComputeResourceRequirements != nil:
		return invalid("ComputeResourceRequirements must not be given for an inference component with a base.")
	case in.RuntimeConfig != nil:
		return invalid("RuntimeConfig must not be given for an inference component with a base.")
	}
	row.base, row.variant = base.name, base.variant
	return nil
}

// insertComponent stores a component under a name that must be free, on an endpoint that must still be there.
func (p *Platform) insertComponent(ctx context.Context, row componentRow, arn string, tags []tag) error {
	return p.store.write(ctx, func(tx *sql.Tx) error {
		var status string
		if err := tx.QueryRowContext(ctx, "SELECT status FROM sm_endpoint WHERE name = ?", row.endpoint).Scan(&status); err != nil || status != inService {
			return unlessNil(unlessMissing(err), invalid("Could not find endpoint %q.", p.arn("endpoint", row.endpoint)))
		}
		if row.base != "" { // it may have begun to leave since it was looked at
			if err := tx.QueryRowContext(ctx, "SELECT status FROM sm_component WHERE name = ?", row.base).Scan(&status); err != nil || status != inService {
				return unlessNil(unlessMissing(err), invalid("The base inference component %q is not InService.", row.base))
			}
		}
		result, err := tx.ExecContext(ctx, "INSERT INTO sm_component ("+componentColumns+") VALUES (?, ?, ?, ?, ?, ?, '', ?, ?) ON CONFLICT (name) DO NOTHING",
			row.name, row.endpoint, row.variant, row.base, row.body, row.status, row.created, row.modified)
		if err != nil {
			return err
		}
		if rows, err := result.RowsAffected(); err != nil || rows == 0 {
			return unlessNil(err, invalid("Cannot create already existing inference component %q.", arn))
		}
		return putTags(ctx, tx, arn, tags)
	})
}

// findComponent reads a component that must be there.
func (p *Platform) findComponent(ctx context.Context, name string) (componentRow, componentShape, error) {
	row, found, err := p.store.component(ctx, name)
	if err != nil {
		return row, componentShape{}, err
	}
	if !found {
		return row, componentShape{}, invalid("Could not find inference component %q.", p.arn("inference-component", name))
	}
	var shape componentShape
	return row, shape, json.Unmarshal([]byte(row.body), &shape)
}

func (p *Platform) describeComponent(ctx context.Context, in struct{ InferenceComponentName string }) (any, error) {
	var c checks
	c.name(in.InferenceComponentName, "inferenceComponentName", plainName)
	if err := c.err(); err != nil {
		return nil, err
	}
	row, shape, err := p.findComponent(ctx, in.InferenceComponentName)
	if err != nil {
		return nil, err
	}
	type container struct {
		DeployedImage *struct{ SpecifiedImage string } `json:",omitempty"`
		ArtifactUrl   string                           `json:",omitempty"`
		Environment   map[string]string                `json:",omitempty"`
	}
	type summary struct {
		ModelName                   string     `json:",omitempty"`
		Container                   *container `json:",omitempty"`
		StartupParameters           *startup   `json:",omitempty"`
		ComputeResourceRequirements *compute   `json:",omitempty"`
		BaseInferenceComponentName  string     `json:",omitempty"`
		DataCacheConfig             *dataCache `json:",omitempty"`
	}
	type runtime struct{ DesiredCopyCount, CurrentCopyCount int }
	out := struct {
		InferenceComponentName, InferenceComponentArn, EndpointName, EndpointArn string
		VariantName                                                              string `json:",omitempty"`
		FailureReason                                                            string `json:",omitempty"`
		Specification                                                            summary
		RuntimeConfig                                                            *runtime `json:",omitempty"`
		CreationTime, LastModifiedTime                                           moment
		InferenceComponentStatus                                                 string
	}{
		InferenceComponentName: row.name, InferenceComponentArn: p.arn("inference-component", row.name), EndpointName: row.endpoint,
		EndpointArn: p.arn("endpoint", row.endpoint), VariantName: row.variant, FailureReason: row.reason,
		CreationTime: row.created, LastModifiedTime: row.modified, InferenceComponentStatus: row.status,
	}
	s := shape.Specification
	out.Specification = summary{
		ModelName: s.ModelName, StartupParameters: s.StartupParameters, ComputeResourceRequirements: s.ComputeResourceRequirements,
		BaseInferenceComponentName: s.BaseInferenceComponentName, DataCacheConfig: s.DataCacheConfig,
	}
	if s.Container != nil {
		out.Specification.Container = &container{ArtifactUrl: s.Container.ArtifactUrl}
	}
	if row.base != "" { // an adapter comes back with its base's compute (facts §1.5)
		if _, baseShape, err := p.findComponent(ctx, row.base); err == nil {
			out.Specification.ComputeResourceRequirements = baseShape.Specification.ComputeResourceRequirements
		}
	}
	if shape.RuntimeConfig != nil {
		// However many copies are asked for, one container runs here.
		out.RuntimeConfig = &runtime{DesiredCopyCount: *shape.RuntimeConfig.CopyCount}
		if row.status == inService {
			out.RuntimeConfig.CurrentCopyCount = *shape.RuntimeConfig.CopyCount
		}
	}
	return out, nil
}

func (p *Platform) listComponents(ctx context.Context, in struct {
	filter
	EndpointNameEquals string
	VariantNameEquals  string
}) (any, error) {
	if err := in.check([]string{"Name", "CreationTime", "Status"}, []string{inService, creating, "Updating", failed, deleting}); err != nil {
		return nil, err
	}
	all, err := p.store.components(ctx)
	if err != nil {
		return nil, err
	}
	var rows []componentRow
	for _, row := range all {
		if (in.EndpointNameEquals == "" || in.EndpointNameEquals == row.endpoint) && (in.VariantNameEquals == "" || in.VariantNameEquals == row.variant) {
			rows = append(rows, row)
		}
	}
	rows, next, err := page(in.filter, rows, func(c componentRow) listed { return listed{c.name, c.created, c.modified, c.status} })
	type summary struct {
		CreationTime, LastModifiedTime                                                                                  moment
		InferenceComponentName, InferenceComponentArn, EndpointName, EndpointArn, VariantName, InferenceComponentStatus string
	}
	out := struct {
		InferenceComponents []summary
		NextToken           string `json:",omitempty"`
	}{InferenceComponents: []summary{}, NextToken: next}
	for _, row := range rows {
		out.InferenceComponents = append(out.InferenceComponents, summary{
			row.created, row.modified, row.name, p.arn("inference-component", row.name), row.endpoint, p.arn("endpoint", row.endpoint), row.variant, row.status,
		})
	}
	return out, err
}

func (p *Platform) deleteComponent(ctx context.Context, in struct{ InferenceComponentName string }) (any, error) {
	var c checks
	c.name(in.InferenceComponentName, "inferenceComponentName", plainName)
	if err := c.err(); err != nil {
		return nil, err
	}
	row, _, err := p.findComponent(ctx, in.InferenceComponentName)
	if err != nil {
		return nil, err
	}
	arn := p.arn("inference-component", row.name)
	err = p.store.write(ctx, func(tx *sql.Tx) error {
		var adapters int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sm_component WHERE base = ?", row.name).Scan(&adapters); err != nil {
			return err
		}
		if adapters > 0 {
			return invalid("Inference component %q cannot be deleted: it is the base for one or more associated inference components.", arn)
		}
		if err := tx.QueryRowContext(ctx, "SELECT status FROM sm_component WHERE name = ?", row.name).Scan(&row.status); err != nil {
			return unlessNil(unlessMissing(err), invalid("Could not find inference component %q.", arn))
		}
		switch row.status {
		case deleting:
			return invalid("Inference component %q is in state DELETE_IN_PROGRESS.", arn)
		case inService, failed:
			_, err := tx.ExecContext(ctx, "UPDATE sm_component SET status = ?, modified_at = ? WHERE name = ?", deleting, p.now(), row.name)
			return err
		}
		return invalid("Inference component %q cannot be deleted while it is %s: it must reach a terminal state first.", arn, row.status)
	})
	if err != nil {
		return nil, err
	}
	p.background(func(ctx context.Context) { p.remove(ctx, row) })
	return empty{}, nil
}
