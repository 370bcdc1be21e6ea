package db

import "loradeck/internal/lora"

// Subject gives what a stored proof is a proof of.
func (p Proof) Subject() lora.ProofSubject {
	return lora.ProofSubject{Asked: Time(p.CreatedAt), ComponentModified: Time(p.ComponentModifiedAt), BaseModified: Time(p.BaseModifiedAt)}
}

// Subject gives what a deployment's newest proof is a proof of. It is meaningless while there is none.
func (r LiveDeploymentsRow) Subject() lora.ProofSubject {
	return Proof{CreatedAt: r.ProvedAt, ComponentModifiedAt: r.ProofComponentModifiedAt, BaseModifiedAt: r.ProofBaseModifiedAt}.Subject()
}

// News gives what is known of an adapter component and its base, as last seen and heard.
func News(component, base Component) lora.ProofNews {
	return lora.ProofNews{
		ComponentModified: Time(component.ModifiedAt), BaseModified: Time(base.ModifiedAt),
		Died: Time(base.DiedAt), Forgot: Time(base.ForgotAt), Missed: Time(component.ForgotAt),
	}
}
