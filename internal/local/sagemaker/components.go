package sagemaker

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"slices"

	"loradeck/internal/local/fault"
)

// componentShape is what is read of a component; all of what CreateInferenceComponent was sent is kept, and
// DescribeInferenceComponent gives it back.
type componentShape struct {
	Specification  *specification
	Specifications []specification // one for each instance type, instead of Specification
	RuntimeConfig  *copies

	LastDeploymentConfig *deployment // of the last update
	Rollout              bool        // of a wish only: it was sent a specification, which means new copies though it be the same
}

type specification struct {
	InstanceType                string
	ModelName                   string
	Container                   *specContainer
	ComputeResourceRequirements *compute
	BaseInferenceComponentName  string
}

type specContainer struct {
	Image       string
	ArtifactUrl string
	Environment map[string]string
}

type compute struct {
	MinMemoryRequiredInMb              int
	MaxMemoryRequiredInMb              *int
	NumberOfCpuCoresRequired           float64
	NumberOfAcceleratorDevicesRequired float64
}

type copies struct{ CopyCount int }

// readComponent reads a body as it is kept. Of several specifications the first counts: there is one machine here.
func readComponent(body string) (shape componentShape, err error) {
	err = json.Unmarshal([]byte(body), &shape)
	if shape.Specification == nil && len(shape.Specifications) > 0 {
		shape.Specification = &shape.Specifications[0]
	}
	return shape, err
}

func (p *Platform) createComponent(ctx context.Context, in struct {
	sent
	componentShape
	InferenceComponentName string
	EndpointName           string
	VariantName            string
	Tags                   []tag
}) (any, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if (in.Specification == nil) == (in.Specifications == nil) {
		return nil, invalid("Exactly one of Specification and Specifications must be given for inference component %q.", in.InferenceComponentName)
	}
	row := componentRow{name: in.InferenceComponentName, variant: in.VariantName, body: encoded(in.kept()), status: creating, created: p.now()}
	row.modified = row.created
	hosted, err := p.place(ctx, &row, in.EndpointName, in.VariantName)
	if err != nil {
		return nil, err
	}
	if err := in.checkTypes(hosted); err != nil {
		return nil, err
	}
	specifications := in.Specifications
	if in.Specification != nil {
		specifications = []specification{*in.Specification}
	}
	for _, s := range specifications {
		if s.BaseInferenceComponentName != "" {
			err = p.asAdapter(ctx, &row, s, in.RuntimeConfig, in.VariantName)
		} else if err = p.asBase(ctx, &row, s, in.VariantName); err == nil && in.copyCount() < 1 {
			err = invalid("RuntimeConfig.CopyCount must be at least 1 for inference component %q.", row.name)
		}
		if err != nil {
			return nil, err
		}
	}
	arn := p.arn("inference-component", row.name)
	if err := p.insertComponent(ctx, row, arn, in.Tags); err != nil {
		return nil, err
	}
	p.launch(row)
	return struct{ InferenceComponentArn string }{arn}, nil
}

// checkTypes holds several specifications to the instance pools that they are for (facts §1.4).
func (s componentShape) checkTypes(hosted variantShape) error {
	types := map[string]bool{}
	for _, one := range s.Specifications {
		switch {
		case one.InstanceType == "" && len(s.Specifications) > 1:
			return invalid("InstanceType must be given in each of several specifications.")
		case types[one.InstanceType]:
			return invalid("Each of the specifications must be for an instance type of its own; %q is given more than once.", one.InstanceType)
		case one.InstanceType != "" && !slices.ContainsFunc(hosted.InstancePools, func(pool instancePool) bool { return pool.InstanceType == one.InstanceType }):
			return invalid("Instance type %q of a specification is in none of the instance pools of variant %q.", one.InstanceType, hosted.VariantName)
		case one.BaseInferenceComponentName != "":
			return invalid("An inference component with a base takes Specification and no Specifications.")
		}
		types[one.InstanceType] = true
	}
	return nil
}

// place checks that the endpoint can host components, and gives the variant that is named.
func (p *Platform) place(ctx context.Context, row *componentRow, endpoint, variant string) (variantShape, error) {
	e, variants, err := p.findEndpoint(ctx, endpoint)
	if err != nil {
		return variantShape{}, err
	}
	if e.status != inService {
		return variantShape{}, invalid("Cannot create inference component %q on endpoint %q while it is %s.", p.arn("inference-component", row.name), p.arn("endpoint", e.name), e.status)
	}
	row.endpoint = e.name
	for _, v := range variants {
		if v.ModelName != "" {
			return variantShape{}, invalid("Inference Components are not supported in this Endpoint. Please make sure this endpoint can deploy inference components.")
		}
		if variant == v.VariantName {
			return v, nil
		}
	}
	if variant != "" {
		return variantShape{}, invalid("Could not find variant %q on endpoint %q.", variant, p.arn("endpoint", e.name))
	}
	return variantShape{}, nil
}

// asBase checks what an ordinary component must have (facts §1.4).
func (p *Platform) asBase(ctx context.Context, row *componentRow, s specification, variant string) error {
	needs := s.ComputeResourceRequirements
	switch {
	case variant == "":
		return invalid("VariantName must be given for inference component %q.", row.name)
	case (s.ModelName == "") == (s.Container == nil):
		return invalid("Exactly one of ModelName and Container must be given for inference component %q.", row.name)
	case s.Container != nil && s.Container.Image == "":
		return invalid("Container.Image must be given for inference component %q, which has neither a model nor a base.", row.name)
	case needs == nil:
		return invalid("ComputeResourceRequirements must be given for inference component %q.", row.name)
	case needs.MaxMemoryRequiredInMb != nil && *needs.MaxMemoryRequiredInMb < needs.MinMemoryRequiredInMb:
		return invalid("MaxMemoryRequiredInMb of inference component %q must not be less than MinMemoryRequiredInMb.", row.name)
	}
	if s.ModelName == "" {
		return nil
	}
	_, err := p.find(ctx, "sm_model", "model", "model", s.ModelName, &modelShape{})
	return err
}

// asAdapter checks what an adapter component must and must not have (facts §1.4).
func (p *Platform) asAdapter(ctx context.Context, row *componentRow, s specification, runtime *copies, variant string) error {
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
	}
	row.base, row.variant = base.name, base.variant
	return s.checkAdapter(runtime)
}

// checkAdapter says what the specification of an adapter component lacks or must not have (facts §1.4).
func (s specification) checkAdapter(runtime *copies) error {
	switch {
	case s.ModelName != "" || s.Container == nil || s.Container.ArtifactUrl == "":
		return invalid("An inference component with a base takes Container.ArtifactUrl and no ModelName.")
	case s.Container.Image != "" || len(s.Container.Environment) > 0:
		return invalid("An inference component with a base takes neither image nor environment: they are those of the base.")
	case s.ComputeResourceRequirements != nil:
		return invalid("ComputeResourceRequirements must not be given for an inference component with a base.")
	case runtime != nil:
		return invalid("RuntimeConfig must not be given for an inference component with a base.")
	}
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
		result, err := tx.ExecContext(ctx, "INSERT INTO sm_component ("+componentColumns+") VALUES (?, ?, ?, ?, ?, ?, '', '', 0, 0, 0, ?, ?) ON CONFLICT (name) DO NOTHING",
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
	shape, err := readComponent(row.body)
	return row, shape, err
}

func (p *Platform) describeComponent(ctx context.Context, in struct{ InferenceComponentName string }) (any, error) {
	row, _, err := p.findComponent(ctx, in.InferenceComponentName)
	if err != nil {
		return nil, err
	}
	if row.status == creating {
		p.config.Faults.Take(fault.StuckCreating, row.name, row.endpoint)
	}
	described := cmp.Or(row.wish, row.body) // a belief: what an update is to bring is described at once
	shape, err := readComponent(described)
	if err != nil {
		return nil, err
	}
	var kept document
	if err := json.Unmarshal([]byte(described), &kept); err != nil {
		return nil, err
	}
	out := p.service.answer("DescribeInferenceComponent", kept)
	for i, asked := range kept.specifications() {
		answerImage(asked, out.specifications()[i])
	}
	if row.base != "" { // an adapter comes back with its base's compute (facts §1.5)
		if base, found, err := p.store.component(ctx, row.base); err == nil && found {
			var of document
			if err := json.Unmarshal([]byte(base.body), &of); err != nil {
				return nil, err
			}
			out.specifications()[0]["ComputeResourceRequirements"] = of.specifications()[0]["ComputeResourceRequirements"]
		}
	}
	delete(out, "RuntimeConfig")
	if shape.RuntimeConfig != nil {
		// However many copies are asked for, one container runs here.
		out["RuntimeConfig"] = map[string]int{"DesiredCopyCount": shape.RuntimeConfig.CopyCount, "CurrentCopyCount": row.copies}
	}
	out["InferenceComponentName"], out["InferenceComponentArn"] = row.name, p.arn("inference-component", row.name)
	out["EndpointName"], out["EndpointArn"] = row.endpoint, p.arn("endpoint", row.endpoint)
	out["InferenceComponentStatus"], out["CreationTime"], out["LastModifiedTime"] = row.status, row.created, row.modified
	if row.variant != "" {
		out["VariantName"] = row.variant
	}
	if row.reason != "" {
		out["FailureReason"] = row.reason
	}
	return out, nil
}

// specifications are a component's, however they were given.
func (d document) specifications() []document {
	if one := d.within("Specification"); one != nil {
		return []document{one}
	}
	return d.list("Specifications")
}

// answerImage gives an image as Describe does: as the one that was deployed.
func answerImage(asked, answered document) {
	if image, there := asked.within("Container")["Image"]; there {
		answered.within("Container")["DeployedImage"] = document{"SpecifiedImage": image}
	}
}

func (p *Platform) listComponents(ctx context.Context, in struct {
	filter
	EndpointNameEquals string
	VariantNameEquals  string
}) (any, error) {
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
	rows, next, err := page("inference-component", in.filter, rows, func(c componentRow) listed { return listed{c.name, c.created, c.modified, c.status} })
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
	row, _, err := p.findComponent(ctx, in.InferenceComponentName)
	if err != nil {
		return nil, err
	}
	arn, since := p.arn("inference-component", row.name), p.now()
	err = p.store.write(ctx, func(tx *sql.Tx) error {
		var adapters int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sm_component WHERE base = ?", row.name).Scan(&adapters); err != nil {
			return err
		}
		if adapters > 0 {
			return invalid("Inference component %q cannot be deleted: it is the base for one or more associated inference components.", arn)
		}
		if err := tx.QueryRowContext(ctx, "SELECT status, body, wish FROM sm_component WHERE name = ?", row.name).Scan(&row.status, &row.body, &row.wish); err != nil {
			return unlessNil(unlessMissing(err), invalid("Could not find inference component %q.", arn))
		}
		switch row.status {
		case deleting:
			return invalid("Cannot delete inference component %q while it is in state %s.", arn, row.progress())
		case inService, failed:
			_, err := tx.ExecContext(ctx, "UPDATE sm_component SET status = ?, modified_at = ? WHERE name = ?", deleting, since, row.name)
			return err
		}
		return invalid("Cannot delete inference component %q while it is in state %s: it must reach a terminal state first.", arn, row.progress())
	})
	if err != nil {
		return nil, err
	}
	row.modified = since
	p.background(func(ctx context.Context) { p.remove(ctx, row) })
	return empty{}, nil
}
