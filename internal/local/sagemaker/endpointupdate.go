package sagemaker

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"loradeck/internal/lora"
)

// endpointWish is what an update makes of an endpoint.
type endpointWish struct {
	Config   string
	Variants []document
	Settings document
}

func (p *Platform) updateEndpoint(ctx context.Context, in struct {
	sent
	EndpointName                     string
	EndpointConfigName               string
	RetainAllVariantProperties       bool
	ExcludeRetainedVariantProperties []struct{ VariantPropertyType string }
	RetainDeploymentConfig           bool
}) (any, error) {
	row, _, err := p.findEndpoint(ctx, in.EndpointName)
	if err != nil {
		return nil, err
	}
	var was, config document
	if _, err := p.endpointConfig(ctx, row.config, &was); err != nil { // it must not be deleted before (hashicorp/terraform-provider-aws#40048)
		return nil, err
	}
	found, err := p.endpointConfig(ctx, in.EndpointConfigName, &config)
	if err != nil {
		return nil, err
	}
	var settings document
	var variants []document
	if err := errors.Join(json.Unmarshal([]byte(row.settings), &settings), json.Unmarshal([]byte(row.variants), &variants)); err != nil {
		return nil, err
	}
	wish := endpointWish{Config: found.name, Variants: config.list("ProductionVariants"), Settings: settingsOf(config)}
	if how, there := in.whole["DeploymentConfig"]; there {
		wish.Settings["LastDeploymentConfig"] = how
	} else if how, there := settings["LastDeploymentConfig"]; there && in.RetainDeploymentConfig {
		wish.Settings["LastDeploymentConfig"] = how
	}
	if in.RetainAllVariantProperties {
		retained := map[string]bool{"DesiredInstanceCount": true, "DesiredWeight": true, "DataCaptureConfig": true}
		for _, but := range in.ExcludeRetainedVariantProperties {
			delete(retained, but.VariantPropertyType)
		}
		wish.retain(variants, settings, retained)
	}
	return p.beginEndpointUpdate(ctx, row, wish)
}

// retain keeps what an endpoint has by now, whatever the new config says.
func (w endpointWish) retain(variants []document, settings document, properties map[string]bool) {
	for _, v := range w.Variants {
		for _, old := range variants {
			if v["VariantName"] != old["VariantName"] {
				continue
			}
			for property, member := range map[string]string{"DesiredInstanceCount": "InitialInstanceCount", "DesiredWeight": "InitialVariantWeight"} {
				if value, there := old[member]; there && properties[property] {
					v[member] = value
				}
			}
		}
	}
	if capture, there := settings["DataCaptureConfig"]; there && properties["DataCaptureConfig"] {
		w.Settings["DataCaptureConfig"] = capture
	}
}

func (p *Platform) updateWeights(ctx context.Context, in struct {
	EndpointName                string
	DesiredWeightsAndCapacities []struct {
		VariantName            string
		DesiredWeight          *float64
		DesiredInstanceCount   *int
		ServerlessUpdateConfig document
	}
}) (any, error) {
	row, _, err := p.findEndpoint(ctx, in.EndpointName)
	if err != nil {
		return nil, err
	}
	wish := endpointWish{Config: row.config}
	if err := errors.Join(json.Unmarshal([]byte(row.settings), &wish.Settings), json.Unmarshal([]byte(row.variants), &wish.Variants)); err != nil {
		return nil, err
	}
	var unknown []string
	for _, desired := range in.DesiredWeightsAndCapacities {
		at := slices.IndexFunc(wish.Variants, func(v document) bool { return v["VariantName"] == desired.VariantName })
		if at < 0 {
			unknown = append(unknown, desired.VariantName)
			continue
		}
		v := wish.Variants[at]
		if desired.DesiredWeight != nil {
			v["InitialVariantWeight"] = *desired.DesiredWeight
		}
		if desired.DesiredInstanceCount != nil {
			v["InitialInstanceCount"] = *desired.DesiredInstanceCount
		}
		if desired.ServerlessUpdateConfig != nil {
			return nil, invalid("Variant %q is not serverless: it has no ServerlessConfig to update.", desired.VariantName)
		}
	}
	if unknown != nil { // the words are moto's
		return nil, invalid("The variant name(s) %q is/are not present within endpoint configuration %q.", strings.Join(unknown, ", "), row.config)
	}
	return p.beginEndpointUpdate(ctx, row, wish)
}

// beginEndpointUpdate stores what an endpoint is to become, and begins. Its components stay where they are.
func (p *Platform) beginEndpointUpdate(ctx context.Context, row endpointRow, wish endpointWish) (any, error) {
	arn := p.arn("endpoint", row.name)
	row.wish, row.modified = encoded(wish), p.now()
	err := p.store.write(ctx, func(tx *sql.Tx) error {
		if err := p.keepsComponents(ctx, tx, row, wish); err != nil {
			return err
		}
		begun, err := changed(tx.ExecContext(ctx, "UPDATE sm_endpoint SET status = ?, wish = ?, reason = '', modified_at = ? WHERE name = ? AND created_at = ? AND config = ? AND variants = ? AND settings = ? AND status = ?",
			updating, row.wish, row.modified, row.name, row.created, row.config, row.variants, row.settings, inService))
		switch {
		case err != nil || begun:
			return err
		case row.status == failed:
			return invalid("Cannot update endpoint %q: it is Failed, and can only be deleted.", arn)
		}
		return invalid("Cannot update in-progress endpoint %q.", arn)
	})
	if err != nil {
		return nil, err
	}
	row.status = updating
	p.background(func(ctx context.Context) { p.renewEndpoint(ctx, row) })
	return struct{ EndpointArn string }{arn}, nil
}

// keepsComponents reports whether an endpoint could host its components after an update.
func (p *Platform) keepsComponents(ctx context.Context, tx *sql.Tx, row endpointRow, wish endpointWish) error {
	rows, err := tx.QueryContext(ctx, "SELECT name, variant FROM sm_component WHERE endpoint = ? ORDER BY name", row.name)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name, variant string
		if err := rows.Scan(&name, &variant); err != nil {
			return err
		}
		at := slices.IndexFunc(wish.Variants, func(v document) bool { return v["VariantName"] == variant })
		switch {
		case at < 0:
			return invalid("Cannot update endpoint %q: inference component %q is on variant %q, which endpoint configuration %q does not have.", p.arn("endpoint", row.name), name, variant, wish.Config)
		case wish.Variants[at]["ModelName"] != nil:
			return invalid("Inference Components are not supported in this Endpoint. Please make sure this endpoint can deploy inference components.")
		}
	}
	return rows.Err()
}

// renewEndpoint makes an endpoint what it is to become, or leaves it as it was when its components would have no place.
func (p *Platform) renewEndpoint(ctx context.Context, e endpointRow) {
	if !p.wait(ctx, endpointUpdate, e.modified) {
		return
	}
	err := p.store.write(ctx, func(tx *sql.Tx) error {
		var wish endpointWish
		if err := json.Unmarshal([]byte(e.wish), &wish); err != nil {
			return err
		}
		roomy, err := p.housed(ctx, tx, e.name, wish)
		if err != nil {
			return err
		}
		if !roomy {
			_, err := tx.ExecContext(ctx, "UPDATE sm_endpoint SET status = ?, wish = '', reason = ?, modified_at = ? WHERE name = ? AND created_at = ? AND status = ?",
				inService, "The update was rolled back: "+lora.Message(errNoRoom), p.now(), e.name, e.created, updating)
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE sm_endpoint SET status = ?, wish = '', config = ?, variants = ?, settings = ?, modified_at = ? WHERE name = ? AND created_at = ? AND status = ?",
			inService, wish.Config, encoded(wish.Variants), encoded(wish.Settings), p.now(), e.name, e.created, updating)
		return err
	})
	if err != nil {
		p.config.Log.ErrorContext(ctx, "endpoint not updated", "endpoint", e.name, "err", err)
	}
}

// housed reports whether an endpoint's components fit on what it is to become, and lets managed scaling add the instances that
// they need.
func (p *Platform) housed(ctx context.Context, tx *sql.Tx, endpoint string, wish endpointWish) (bool, error) {
	var variants []variantShape
	if err := json.Unmarshal([]byte(encoded(wish.Variants)), &variants); err != nil {
		return false, err
	}
	for i, v := range variants {
		held, err := p.claims(ctx, tx, endpoint, v.VariantName, "")
		if err != nil {
			return false, err
		}
		count, fits := v.leastInstances(func(count int) bool { return fit(v.InstanceType, count, held) })
		if !fits {
			return false, nil
		}
		if count > v.instanceCount() {
			wish.Variants[i]["InitialInstanceCount"] = count
		}
	}
	return true, nil
}

// describeWish says what an endpoint is to become: another config as a pending deployment, weights and capacities beside those
// that it has.
func (p *Platform) describeWish(out document, row endpointRow) error {
	var wish endpointWish
	if err := json.Unmarshal([]byte(row.wish), &wish); err != nil {
		return err
	}
	pending := make([]any, len(wish.Variants))
	for i, v := range wish.Variants {
		summary, _ := p.service.Shapes["PendingProductionVariantSummary"].cut(map[string]any(v)).(map[string]any)
		for from, to := range map[string]string{"InitialVariantWeight": "DesiredWeight", "InitialInstanceCount": "DesiredInstanceCount"} {
			if value, there := v[from]; there {
				summary[to] = value
			}
		}
		delete(summary, "InstancePools") // they are answered with counts, which are not known yet
		pending[i] = summary
	}
	if wish.Config != row.config {
		out["PendingDeploymentSummary"] = document{"EndpointConfigName": wish.Config, "ProductionVariants": pending, "StartTime": row.modified}
		return nil
	}
	variants, _ := out["ProductionVariants"].([]any)
	for _, variant := range variants {
		for _, desired := range pending {
			has, wants := variant.(map[string]any), desired.(map[string]any)
			if has["VariantName"] != wants["VariantName"] {
				continue
			}
			for _, member := range []string{"DesiredWeight", "DesiredInstanceCount"} {
				if value, there := wants[member]; there {
					has[member] = value
				}
			}
		}
	}
	return nil
}
