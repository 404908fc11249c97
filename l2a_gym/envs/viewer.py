def ansi(domains, operators, episode, metric): return ""
def rgb_array(domains, operators, episode, metric): return None
