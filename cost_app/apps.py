from django.apps import AppConfig


class CostConfig(AppConfig):
    name = "cost_app"
    verbose_name = "Cost"

    def ready(self) -> None:
        """Register the function that creates the initial budget of an API key."""
        from aiinfra.tenants import key_budget
        from cost_app.budgets.of_keys import set_key_budget

        key_budget.set_with(set_key_budget)
