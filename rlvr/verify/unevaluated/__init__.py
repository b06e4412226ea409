"""Does an answer only repeat the problem, or leave its operation to be carried out?"""
