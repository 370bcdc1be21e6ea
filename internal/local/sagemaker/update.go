package sagemaker

import "context"

func (p *Platform) update(ctx context.Context, c componentRow) {}
