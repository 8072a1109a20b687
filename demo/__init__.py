"""`python -m demo`: a week of New York's flights through a real Airflow on this machine."""
