"""``recbole-bns compare``: samplers side by side, over seeds."""
