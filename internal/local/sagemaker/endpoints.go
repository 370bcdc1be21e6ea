package sagemaker

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"loradeck/internal/local/fault"
)

// configShape is what is read of an endpoint config; all of what CreateEndpointConfig was sent is kept, and
// DescribeEndpointConfig gives it back.
type configShape struct {
	EndpointConfigName       string
	ProductionVariants       []variantShape
	ShadowProductionVariants []variantShape
	ExecutionRoleArn         string
	MetricsConfig            struct{ MetricPublishFrequencyInSeconds *int }
}

type variantShape struct {
	VariantName            string
	ModelName              string
	InstanceType           string
	InitialInstanceCount   *int
	InitialVariantWeight   *float64
	InstancePools          []instancePool
	ServerlessConfig       *struct{}
	ManagedInstanceScaling *scaling
}

type instancePool struct {
	InstanceType      string
	ModelNameOverride string
	Priority          int
}

type scaling struct {
	Status           string
	MinInstanceCount *int
	MaxInstanceCount *int
}

func (p *Platform) createEndpointConfig(ctx context.Context, in struct {
	sent
	configShape
	Tags []tag
}) (any, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if err := p.checkConfig(ctx, in.configShape); err != nil {
		return nil, err
	}
	kept := in.kept()
	kept.unless("EnableNetworkIsolation", false)
	for _, list := range []string{"ProductionVariants", "ShadowProductionVariants"} {
		for _, v := range kept.list(list) {
			v.unless("InitialVariantWeight", 1)
			if policy := v.within("ManagedInstanceScaling").within("ScaleInPolicy"); policy != nil {
				policy.unless("CooldownInMinutes", 20) // facts §1.10
			}
		}
	}
	arn := p.arn("endpoint-config", in.EndpointConfigName)
	if err := p.createNamed(ctx, "sm_endpoint_config", "endpoint configuration", in.EndpointConfigName, arn, encoded(kept), in.Tags); err != nil {
		return nil, err
	}
	return struct{ EndpointConfigArn string }{arn}, nil
}

// publishFrequencies are in seconds; the service model has them in words only (facts §1.10).
var publishFrequencies = []int{10, 30, 60, 120, 180, 240, 300}

// checkConfig holds a config to what the service model does not say, or only in words (facts §1.8, §1.10). How AWS words these
// refusals is not known.
func (p *Platform) checkConfig(ctx context.Context, c configShape) error {
	if len(c.ShadowProductionVariants) > 0 && len(c.ShadowProductionVariants)+len(c.ProductionVariants) > 2 {
		return invalid("With ShadowProductionVariants there can be one production variant and one shadow variant only.")
	}
	if every := c.MetricsConfig.MetricPublishFrequencyInSeconds; every != nil && !slices.Contains(publishFrequencies, *every) {
		return invalid("MetricPublishFrequencyInSeconds is %d; it can be one of %v.", *every, publishFrequencies)
	}
	names := map[string]bool{}
	for _, v := range slices.Concat(c.ProductionVariants, c.ShadowProductionVariants) {
		if names[v.VariantName] {
			return invalid("Variant names must be unique in an endpoint configuration; %q is given more than once.", v.VariantName)
		}
		names[v.VariantName] = true
		if v.ModelName == "" && c.ExecutionRoleArn == "" {
			return invalid("ExecutionRoleArn is required when a production variant has no model.")
		}
		if err := p.checkVariant(ctx, v); err != nil {
			return err
		}
	}
	return nil
}

func (p *Platform) checkVariant(ctx context.Context, v variantShape) error {
	scaling := v.ManagedInstanceScaling
	switch {
	case v.InstanceType != "" && v.InstancePools != nil:
		return invalid("InstanceType and InstancePools exclude each other; variant %q has both.", v.VariantName)
	case v.ServerlessConfig != nil && (v.InstanceType != "" || v.InstancePools != nil || v.InitialInstanceCount != nil):
		return invalid("ServerlessConfig excludes InstanceType, InstancePools and InitialInstanceCount; variant %q has both.", v.VariantName)
	case scaling == nil:
	case v.ModelName != "":
		return invalid("ManagedInstanceScaling is supported only for production variants that host inference components.")
	case scaling.MinInstanceCount != nil && *scaling.MinInstanceCount == 0 && p.config.Region == "eu-west-3":
		return invalid("MinInstanceCount must be at least 1 in region %s.", p.config.Region) // reported of this region, fine in us-east-1
	case scaling.MinInstanceCount != nil && scaling.MaxInstanceCount != nil && *scaling.MinInstanceCount > *scaling.MaxInstanceCount:
		return invalid("MinInstanceCount of variant %q must not be greater than MaxInstanceCount.", v.VariantName)
	}
	models := []string{v.ModelName}
	for _, pool := range v.InstancePools {
		models = append(models, pool.ModelNameOverride)
	}
	for _, name := range models {
		if name == "" {
			continue
		}
		if _, err := p.find(ctx, "sm_model", "model", "model", name, &modelShape{}); err != nil {
			return err
		}
	}
	if v.InstanceType == "" && v.InstancePools == nil && v.ServerlessConfig == nil {
		return invalid("Variant %q has nothing to run on: give it InstanceType, InstancePools or ServerlessConfig.", v.VariantName)
	}
	return nil
}

func (p *Platform) endpointConfig(ctx context.Context, name string, into any) (named, error) {
	return p.find(ctx, "sm_endpoint_config", "endpoint configuration", "endpoint-config", name, into)
}

func (p *Platform) describeEndpointConfig(ctx context.Context, in struct{ EndpointConfigName string }) (any, error) {
	var kept document
	row, err := p.endpointConfig(ctx, in.EndpointConfigName, &kept)
	if err != nil {
		return nil, err
	}
	out := p.service.answer("DescribeEndpointConfig", kept)
	out["EndpointConfigArn"], out["CreationTime"] = p.arn("endpoint-config", row.name), row.created
	return out, nil
}

func (p *Platform) listEndpointConfigs(ctx context.Context, in filter) (any, error) {
	rows, err := p.store.allNamed(ctx, "sm_endpoint_config")
	if err != nil {
		return nil, err
	}
	rows, next, err := page("endpoint-config", in, rows, func(n named) listed { return listed{Name: n.name, Created: n.created} })
	type summary struct {
		EndpointConfigName, EndpointConfigArn string
		CreationTime                          moment
	}
	out := struct {
		EndpointConfigs []summary
		NextToken       string `json:",omitempty"`
	}{EndpointConfigs: []summary{}, NextToken: next}
	for _, row := range rows {
		out.EndpointConfigs = append(out.EndpointConfigs, summary{row.name, p.arn("endpoint-config", row.name), row.created})
	}
	return out, err
}

func (p *Platform) deleteEndpointConfig(ctx context.Context, in struct{ EndpointConfigName string }) (any, error) {
	row, err := p.endpointConfig(ctx, in.EndpointConfigName, &configShape{})
	if err != nil {
		return nil, err
	}
	return empty{}, p.store.drop(ctx, "sm_endpoint_config", row.name, p.arn("endpoint-config", row.name))
}

func (p *Platform) createEndpoint(ctx context.Context, in struct {
	sent
	EndpointName       string
	EndpointConfigName string
	Tags               []tag
}) (any, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	var config document
	found, err := p.endpointConfig(ctx, in.EndpointConfigName, &config)
	if err != nil {
		return nil, err
	}
	variants := encoded(config["ProductionVariants"])
	settings := settingsOf(config)
	if policy, there := in.whole["DeploymentConfig"]; there {
		settings["LastDeploymentConfig"] = policy
	}
	arn, now := p.arn("endpoint", in.EndpointName), p.now()
	row := endpointRow{name: in.EndpointName, config: found.name, variants: variants, settings: encoded(settings), status: creating, created: now, modified: now}
	err = p.store.write(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, "INSERT INTO sm_endpoint ("+endpointColumns+") VALUES (?, ?, ?, ?, ?, '', '', ?, ?) ON CONFLICT (name) DO NOTHING",
			row.name, row.config, row.variants, row.settings, row.status, now, now)
		if err != nil {
			return err
		}
		if rows, err := result.RowsAffected(); err != nil || rows == 0 {
			return unlessNil(err, invalid("Cannot create already existing endpoint %q.", arn))
		}
		return putTags(ctx, tx, arn, in.Tags)
	})
	if err != nil {
		return nil, err
	}
	p.background(func(ctx context.Context) { p.settleEndpoint(ctx, row) })
	return struct{ EndpointArn string }{arn}, nil
}

// settingsOf gives what an endpoint keeps of its config besides the production variants: the config may be deleted. It is kept as
// it was asked for, since DescribeEndpoint answers some of it in other words.
func settingsOf(config document) document {
	settings := maps.Clone(config)
	delete(settings, "ProductionVariants")
	return settings
}

// settleEndpoint brings an endpoint into service: here its machine is already there.
func (p *Platform) settleEndpoint(ctx context.Context, e endpointRow) {
	if !p.wait(ctx, endpointCreation, e.modified) || p.config.Faults.Over(ctx, fault.StuckCreating, e.name) != nil {
		return
	}
	err := p.store.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE sm_endpoint SET status = ?, modified_at = ? WHERE name = ? AND created_at = ? AND status = ?", inService, p.now(), e.name, e.created, creating)
		return err
	})
	if err != nil {
		p.config.Log.ErrorContext(ctx, "endpoint not settled", "endpoint", e.name, "err", err)
	}
}

// findEndpoint reads an endpoint that must be there.
func (p *Platform) findEndpoint(ctx context.Context, name string) (endpointRow, []variantShape, error) {
	row, found, err := p.store.endpoint(ctx, name)
	if err != nil {
		return row, nil, err
	}
	if !found {
		return row, nil, invalid("Could not find endpoint %q.", p.arn("endpoint", name))
	}
	var variants []variantShape
	err = json.Unmarshal([]byte(row.variants), &variants)
	return row, variants, err
}

func (p *Platform) describeEndpoint(ctx context.Context, in struct{ EndpointName string }) (any, error) {
	row, _, err := p.findEndpoint(ctx, in.EndpointName)
	if err != nil {
		return nil, err
	}
	if row.status == creating {
		p.config.Faults.Take(fault.StuckCreating, row.name)
	}
	var config document
	var variants []any
	if err := errors.Join(json.Unmarshal([]byte(row.settings), &config), json.Unmarshal([]byte(row.variants), &variants)); err != nil {
		return nil, err
	}
	config["ProductionVariants"] = variants
	out := p.service.answer("DescribeEndpoint", config)
	for _, list := range []string{"ProductionVariants", "ShadowProductionVariants"} {
		if all := config.list(list); len(all) > 0 {
			if out[list], err = p.variantSummaries(ctx, all); err != nil {
				return nil, err
			}
		}
	}
	if row.wish != "" {
		if err := p.describeWish(out, row); err != nil {
			return nil, err
		}
	}
	if row.reason != "" {
		out["FailureReason"] = row.reason
	}
	if capture := config.within("DataCaptureConfig"); capture != nil {
		out["DataCaptureConfig"] = captureSummary(capture)
	}
	out["EndpointName"], out["EndpointArn"], out["EndpointConfigName"] = row.name, p.arn("endpoint", row.name), row.config
	out["EndpointStatus"], out["CreationTime"], out["LastModifiedTime"] = row.status, row.created, row.modified
	return out, nil
}

// variantSummaries gives variants as DescribeEndpoint does: what is wished and what is there are the same here.
func (p *Platform) variantSummaries(ctx context.Context, variants []document) ([]any, error) {
	summaries := make([]any, len(variants))
	for i, v := range variants {
		summary, _ := p.service.Shapes["ProductionVariantSummary"].cut(map[string]any(v)).(map[string]any)
		for from, to := range map[string]string{"InitialVariantWeight": "Weight", "InitialInstanceCount": "InstanceCount", "ServerlessConfig": "ServerlessConfig"} {
			if value, there := v[from]; there {
				summary["Current"+to], summary["Desired"+to] = value, value
			}
		}
		if pools := v.list("InstancePools"); len(pools) > 0 {
			summary["InstancePools"] = poolSummaries(pools, v["InitialInstanceCount"])
		}
		images, err := p.deployedImages(ctx, v)
		if err != nil {
			return nil, err
		}
		if images != nil {
			summary["DeployedImages"] = images
		}
		summaries[i] = summary
	}
	return summaries, nil
}

// deployedImages are those of a variant's model, as long as that is there.
func (p *Platform) deployedImages(ctx context.Context, variant document) ([]document, error) {
	name, _ := variant["ModelName"].(string)
	row, found, err := p.store.getNamed(ctx, "sm_model", name)
	if err != nil || !found {
		return nil, err
	}
	var model modelShape
	if err := json.Unmarshal([]byte(row.body), &model); err != nil {
		return nil, err
	}
	var images []document
	for _, c := range model.containers() {
		if c.Image != "" { // a model package has its own
			images = append(images, document{"SpecifiedImage": c.Image})
		}
	}
	return images, nil
}

// poolSummaries has all instances in the pool of the first priority: here it always has capacity.
func poolSummaries(pools []document, count any) []document {
	priority := func(pool document) float64 { n, _ := pool["Priority"].(float64); return n }
	first := slices.MinFunc(pools, func(a, b document) int { return cmp.Compare(priority(a), priority(b)) })
	summaries := make([]document, len(pools))
	for i, pool := range pools {
		summaries[i] = document{"InstanceType": pool["InstanceType"], "CurrentInstanceCount": 0}
		if count != nil && pool["InstanceType"] == first["InstanceType"] {
			summaries[i]["CurrentInstanceCount"] = count
		}
	}
	return summaries
}

// captureSummary gives data capture as DescribeEndpoint does.
func captureSummary(capture document) document {
	out := document{
		"EnableCapture": capture["EnableCapture"] == true, "CaptureStatus": "Stopped", "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
		"DestinationS3Uri": capture["DestinationS3Uri"], "KmsKeyId": "",
	}
	if out["EnableCapture"] == true {
		out["CaptureStatus"] = "Started"
	}
	if key, there := capture["KmsKeyId"]; there {
		out["KmsKeyId"] = key
	}
	return out
}

func (p *Platform) listEndpoints(ctx context.Context, in filter) (any, error) {
	rows, err := p.store.endpoints(ctx)
	if err != nil {
		return nil, err
	}
	rows, next, err := page("endpoint", in, rows, func(e endpointRow) listed { return listed{e.name, e.created, e.modified, e.status} })
	type summary struct {
		EndpointName, EndpointArn, EndpointStatus string
		CreationTime, LastModifiedTime            moment
	}
	out := struct {
		Endpoints []summary
		NextToken string `json:",omitempty"`
	}{Endpoints: []summary{}, NextToken: next}
	for _, row := range rows {
		out.Endpoints = append(out.Endpoints, summary{row.name, p.arn("endpoint", row.name), row.status, row.created, row.modified})
	}
	return out, err
}

func (p *Platform) deleteEndpoint(ctx context.Context, in struct{ EndpointName string }) (any, error) {
	row, _, err := p.findEndpoint(ctx, in.EndpointName)
	if err != nil {
		return nil, err
	}
	row.modified = p.now()
	err = p.store.write(ctx, func(tx *sql.Tx) error {
		var hosted int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sm_component WHERE endpoint = ?", row.name).Scan(&hosted); err != nil {
			return err
		}
		if hosted > 0 {
			return invalid("Cannot delete endpoint %q: it still hosts %d inference components. Delete them first.", p.arn("endpoint", row.name), hosted)
		}
		result, err := tx.ExecContext(ctx, "UPDATE sm_endpoint SET status = ?, modified_at = ? WHERE name = ? AND status IN (?, ?)", deleting, row.modified, row.name, inService, failed)
		if err != nil {
			return err
		}
		if rows, err := result.RowsAffected(); err != nil || rows == 0 {
			return unlessNil(err, invalid("Cannot update in-progress endpoint %q.", p.arn("endpoint", row.name))) // AWS's words for a deletion too
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	p.background(func(ctx context.Context) { p.dropEndpoint(ctx, row) })
	return empty{}, nil
}

func (p *Platform) dropEndpoint(ctx context.Context, e endpointRow) {
	if !p.wait(ctx, endpointDeletion, e.modified) {
		return
	}
	if err := p.store.drop(ctx, "sm_endpoint", e.name, p.arn("endpoint", e.name)); err != nil {
		p.config.Log.ErrorContext(ctx, "endpoint not deleted", "endpoint", e.name, "err", err)
	}
}
