package availability

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/kube-aggregator/pkg/apis/apiregistration/v1/helper"
)

// write puts a verdict into the status of the APIService, unless it is there already.
func (c *Controller) write(ctx context.Context, service *apiregistration.APIService, v verdict) error {
	condition := apiregistration.APIServiceCondition{
		Type:               apiregistration.Available,
		Status:             apiregistration.ConditionFalse,
		LastTransitionTime: metav1.Now(),
		Reason:             v.reason,
		Message:            v.message,
	}
	if v.available {
		condition.Status = apiregistration.ConditionTrue
	}
	updated := service.DeepCopy()
	helper.SetAPIServiceCondition(updated, condition)
	if equality.Semantic.DeepEqual(updated.Status, service.Status) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.settings.Timeout)
	defer cancel()
	if _, err := c.Client.APIServices().UpdateStatus(ctx, updated, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("status of apiservice %q: %w", service.Name, err)
	}
	return nil
}
