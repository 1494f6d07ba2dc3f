"""From the typed policy tree to the tables and programs of policy.bin.

layouts      message types -> types and nodes
assembler    instructions, registers, jumps
expressions  expressions -> instructions
items        rules, choices -> a program or a constant verdict
models       what each model's methods become
decisions    bindings -> the decision table
"""
