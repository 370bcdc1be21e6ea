package sagemaker

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
)

// configShape is CreateEndpointConfig's input as far as it is kept.
type configShape struct {
	EndpointConfigName     string
	ProductionVariants     []variantShape
	ExecutionRoleArn       string    `json:",omitempty"`
	KmsKeyId               string    `json:",omitempty"`
	VpcConfig              *vpcShape `json:",omitempty"`
	EnableNetworkIsolation *bool     `json:",omitempty"`
}

type variantShape struct {
	VariantName            string
	ModelName              string   `json:",omitempty"`
	InstanceType           string   `json:",omitempty"`
	InitialInstanceCount   *int     `json:",omitempty"`
	InitialVariantWeight   *float64 `json:",omitempty"`
	VolumeSizeInGB         *int     `json:",omitempty"`
	InferenceAmiVersion    string   `json:",omitempty"`
	ManagedInstanceScaling *scaling `json:",omitempty"`
	RoutingConfig          *routing `json:",omitempty"`

	EnableSSMAccess                             *bool `json:",omitempty"`
	VariantInstanceProvisionTimeoutInSeconds    *int  `json:",omitempty"`
	ModelDataDownloadTimeoutInSeconds           *int  `json:",omitempty"`
	ContainerStartupHealthCheckTimeoutInSeconds *int  `json:",omitempty"`
}

type scaling struct {
	Status           string   `json:",omitempty"`
	MinInstanceCount *int     `json:",omitempty"`
	MaxInstanceCount *int     `json:",omitempty"`
	ScaleInPolicy    *scaleIn `json:",omitempty"`
}

type scaleIn struct {
	Strategy          string
	MaximumStepSize   *int `json:",omitempty"`
	CooldownInMinutes *int `json:",omitempty"`
}

type routing struct{ RoutingStrategy string }

func (c *checks) variant(v variantShape, at string) {
	c.name(v.VariantName, at+".variantName", plainName)
	c.between(v.InitialInstanceCount, 1, 1<<30, at+".initialInstanceCount")
	c.between(v.VolumeSizeInGB, 1, 512, at+".volumeSizeInGB")
	c.between(v.VariantInstanceProvisionTimeoutInSeconds, 300, 3600, at+".variantInstanceProvisionTimeoutInSeconds")
	c.between(v.ModelDataDownloadTimeoutInSeconds, 60, 3600, at+".modelDataDownloadTimeoutInSeconds")
	c.between(v.ContainerStartupHealthCheckTimeoutInSeconds, 60, 3600, at+".containerStartupHealthCheckTimeoutInSeconds")
	if v.ManagedInstanceScaling != nil {
		c.oneOf(v.ManagedInstanceScaling.Status, at+".managedInstanceScaling.status", "ENABLED", "DISABLED")
		c.between(v.ManagedInstanceScaling.MinInstanceCount, 0, 1<<30, at+".managedInstanceScaling.minInstanceCount")
		c.between(v.ManagedInstanceScaling.MaxInstanceCount, 1, 1<<30, at+".managedInstanceScaling.maxInstanceCount")
		if policy := v.ManagedInstanceScaling.ScaleInPolicy; policy != nil {
			in := at + ".managedInstanceScaling.scaleInPolicy"
			c.present(policy.Strategy != "", in+".strategy")
			c.oneOf(policy.Strategy, in+".strategy", "IDLE_RELEASE", "CONSOLIDATION")
			c.between(policy.MaximumStepSize, 1, 100, in+".maximumStepSize")
			c.between(policy.CooldownInMinutes, 5, 1440, in+".cooldownInMinutes")
		}
	}
	if v.RoutingConfig != nil {
		c.present(v.RoutingConfig.RoutingStrategy != "", at+".routingConfig.routingStrategy")
		c.oneOf(v.RoutingConfig.RoutingStrategy, at+".routingConfig.routingStrategy", "LEAST_OUTSTANDING_REQUESTS", "RANDOM")
	}
}

func (p *Platform) createEndpointConfig(ctx context.Context, in struct {
	configShape
	Tags []tag
}) (any, error) {
	var c checks
	c.name(in.EndpointConfigName, "endpointConfigName", endpointName)
	c.present(len(in.ProductionVariants) > 0, "productionVariants")
	c.role(in.ExecutionRoleArn, "executionRoleArn")
	c.vpc(in.VpcConfig)
	c.checkTags(in.Tags)
	if len(in.ProductionVariants) > 10 {
		c.fail("'…'", "productionVariants", "Member must have length less than or equal to 10")
	}
	for i, v := range in.ProductionVariants {
		c.variant(v, fmt.Sprintf("productionVariants.%d.member", i+1))
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	for _, v := range in.ProductionVariants {
		switch {
		case v.ModelName == "" && in.ExecutionRoleArn == "":
			return nil, invalid("ExecutionRoleArn is required when a production variant has no model.")
		case v.ModelName != "" && v.ManagedInstanceScaling != nil:
			return nil, invalid("ManagedInstanceScaling is supported only for production variants that host inference components.")
		case v.ModelName != "":
			if _, err := p.find(ctx, "sm_model", "model", "model", v.ModelName, &modelShape{}); err != nil {
				return nil, err
			}
		}
	}
	arn := p.arn("endpoint-config", in.EndpointConfigName)
	if err := p.createNamed(ctx, "sm_endpoint_config", "endpoint configuration", in.EndpointConfigName, arn, encoded(in.configShape), in.Tags); err != nil {
		return nil, err
	}
	return struct{ EndpointConfigArn string }{arn}, nil
}

func (p *Platform) endpointConfig(ctx context.Context, name string, into *configShape) (named, error) {
	return p.find(ctx, "sm_endpoint_config", "endpoint configuration", "endpoint-config", name, into)
}

func (p *Platform) describeEndpointConfig(ctx context.Context, in struct{ EndpointConfigName string }) (any, error) {
	var c checks
	c.name(in.EndpointConfigName, "endpointConfigName", endpointName)
	if err := c.err(); err != nil {
		return nil, err
	}
	var out struct {
		configShape
		CreationTime      moment
		EndpointConfigArn string
	}
	row, err := p.endpointConfig(ctx, in.EndpointConfigName, &out.configShape)
	out.CreationTime, out.EndpointConfigArn = row.created, p.arn("endpoint-config", row.name)
	return out, err
}

func (p *Platform) listEndpointConfigs(ctx context.Context, in filter) (any, error) {
	in.LastModifiedTimeAfter, in.LastModifiedTimeBefore, in.StatusEquals = nil, nil, "" // it has none of these
	if err := in.check([]string{"Name", "CreationTime"}, nil); err != nil {
		return nil, err
	}
	rows, err := p.store.allNamed(ctx, "sm_endpoint_config")
	if err != nil {
		return nil, err
	}
	rows, next, err := page(in, rows, func(n named) listed { return listed{Name: n.name, Created: n.created} })
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
	var c checks
	c.name(in.EndpointConfigName, "endpointConfigName", endpointName)
	if err := c.err(); err != nil {
		return nil, err
	}
	row, err := p.endpointConfig(ctx, in.EndpointConfigName, &configShape{})
	if err != nil {
		return nil, err
	}
	return empty{}, p.store.drop(ctx, "sm_endpoint_config", row.name, p.arn("endpoint-config", row.name))
}

func (p *Platform) createEndpoint(ctx context.Context, in struct {
	EndpointName       string
	EndpointConfigName string
	Tags               []tag
}) (any, error) {
	var c checks
	c.name(in.EndpointName, "endpointName", endpointName)
	c.name(in.EndpointConfigName, "endpointConfigName", endpointName)
	c.checkTags(in.Tags)
	if err := c.err(); err != nil {
		return nil, err
	}
	var config configShape
	if _, err := p.endpointConfig(ctx, in.EndpointConfigName, &config); err != nil {
		return nil, err
	}
	arn, now := p.arn("endpoint", in.EndpointName), p.now()
	row := endpointRow{name: in.EndpointName, config: config.EndpointConfigName, status: creating, created: now, modified: now}
	err := p.store.write(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, "INSERT INTO sm_endpoint ("+endpointColumns+") VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
			row.name, row.config, encoded(config.ProductionVariants), row.status, now, now)
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

// settleEndpoint brings an endpoint into service: here its machine is already there.
func (p *Platform) settleEndpoint(ctx context.Context, e endpointRow) {
	if !p.pause(ctx) {
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
	return row, variants, json.Unmarshal([]byte(row.variants), &variants)
}

func (p *Platform) describeEndpoint(ctx context.Context, in struct{ EndpointName string }) (any, error) {
	var c checks
	c.name(in.EndpointName, "endpointName", endpointName)
	if err := c.err(); err != nil {
		return nil, err
	}
	row, _, err := p.findEndpoint(ctx, in.EndpointName)
	if err != nil {
		return nil, err
	}
	var variants []variantShape
	if err := json.Unmarshal([]byte(row.variants), &variants); err != nil {
		return nil, err
	}
	type summary struct {
		VariantName            string
		CurrentWeight          *float64 `json:",omitempty"`
		DesiredWeight          *float64 `json:",omitempty"`
		CurrentInstanceCount   *int     `json:",omitempty"`
		DesiredInstanceCount   *int     `json:",omitempty"`
		ManagedInstanceScaling *scaling `json:",omitempty"`
		RoutingConfig          *routing `json:",omitempty"`
	}
	out := struct {
		EndpointName, EndpointArn, EndpointConfigName, EndpointStatus string
		ProductionVariants                                            []summary `json:",omitempty"`
		CreationTime, LastModifiedTime                                moment
	}{row.name, p.arn("endpoint", row.name), row.config, row.status, nil, row.created, row.modified}
	for _, v := range variants {
		out.ProductionVariants = append(out.ProductionVariants, summary{
			v.VariantName, v.InitialVariantWeight, v.InitialVariantWeight, v.InitialInstanceCount, v.InitialInstanceCount, v.ManagedInstanceScaling, v.RoutingConfig,
		})
	}
	return out, nil
}

// endpointStatuses are those of the service model's EndpointStatus.
var endpointStatuses = []string{"OutOfService", "Creating", "Updating", "SystemUpdating", "RollingBack", "InService", "Deleting", "Failed", "UpdateRollbackFailed"}

func (p *Platform) listEndpoints(ctx context.Context, in filter) (any, error) {
	if err := in.check([]string{"Name", "CreationTime", "Status"}, endpointStatuses); err != nil {
		return nil, err
	}
	rows, err := p.store.endpoints(ctx)
	if err != nil {
		return nil, err
	}
	rows, next, err := page(in, rows, func(e endpointRow) listed { return listed{e.name, e.created, e.modified, e.status} })
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
	var c checks
	c.name(in.EndpointName, "endpointName", endpointName)
	if err := c.err(); err != nil {
		return nil, err
	}
	row, _, err := p.findEndpoint(ctx, in.EndpointName)
	if err != nil {
		return nil, err
	}
	err = p.store.write(ctx, func(tx *sql.Tx) error {
		var hosted int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sm_component WHERE endpoint = ?", row.name).Scan(&hosted); err != nil {
			return err
		}
		if hosted > 0 {
			return invalid("Cannot delete endpoint %q: it still hosts %d inference components. Delete them first.", p.arn("endpoint", row.name), hosted)
		}
		result, err := tx.ExecContext(ctx, "UPDATE sm_endpoint SET status = ?, modified_at = ? WHERE name = ? AND status IN (?, ?)", deleting, p.now(), row.name, inService, failed)
		if err != nil {
			return err
		}
		if rows, err := result.RowsAffected(); err != nil || rows == 0 {
			return unlessNil(err, invalid("Cannot delete endpoint %q while it is %s.", p.arn("endpoint", row.name), row.status))
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
	if !p.pause(ctx) {
		return
	}
	if err := p.store.drop(ctx, "sm_endpoint", e.name, p.arn("endpoint", e.name)); err != nil {
		p.config.Log.ErrorContext(ctx, "endpoint not deleted", "endpoint", e.name, "err", err)
	}
}
