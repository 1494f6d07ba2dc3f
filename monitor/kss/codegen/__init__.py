"""From the typed policy tree to the tables and programs of policy.bin.

layouts      message types -> types and nodes
assembler    instructions, registers, jumps
expressions  expressions -> instructions
items        rules, choices -> a program or a constant verdict
object       what a model says about compiling its objects
objects      the policy's objects in the image
decisions    bindings -> the decision table
"""
