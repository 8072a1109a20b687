"""Looking after tables: files of a good size, rows that are read together side by side, and no files of the past.

None of it changes a row. Statistics need no care of their own: Delta gathers them for each file that it writes (so
OPTIMIZE renews them too), and open-source Delta 4.4 has no `ANALYZE TABLE … COMPUTE DELTA STATISTICS`, nor Spark its
own ANALYZE for tables by path.
"""
