"""The status page: how every pipeline and table stands, from Airflow's metadata database alone."""
